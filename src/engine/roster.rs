//! What a batch asks of the engine before it begins, and while one container waits for another.

use std::collections::HashMap;

use bollard::query_parameters::ListContainersOptions;
use futures_util::{StreamExt, stream};

use super::compose::{Composed, PROJECT};
use super::inspected::without_slash;
use super::{ContainerId, Engine, Error, Phase};
use crate::policy::{ContainerName, Permitted, Prefix};

/// How many containers are looked at at once, where it takes a look to know the gateway's own.
const LOOKS_AT_ONCE: usize = 8;

impl Engine {
    /// Every container that compose made, whoever may know of it: for the order of things, and never to be shown.
    ///
    /// # Errors
    ///
    /// The engine's own.
    pub async fn composed(&self) -> Result<Vec<Composed>, Error> {
        let filters = HashMap::from([("label".to_owned(), vec![PROJECT.to_owned()])]);
        let options = ListContainersOptions {
            all: true,
            filters: Some(filters),
            ..ListContainersOptions::default()
        };
        let call = self.docker.list_containers(Some(options));
        let summaries = self.within("list", self.timeout, call).await?;
        let composed = summaries.into_iter().filter_map(|summary| {
            // Others are those under which other containers know it.
            let mut names = summary.names?.into_iter().map(without_slash);
            let name = names.find(|name| !name.contains('/'))?;
            Composed::read(name, &summary.labels?)
        });
        Ok(composed.collect())
    }

    /// Those of these containers that exist, but for the gateway's own, in the order given.
    ///
    /// # Errors
    ///
    /// The engine's own.
    pub async fn existing<T: Sync>(
        &self,
        prefix: &Prefix,
        permitted: Vec<Permitted<'_, T>>,
    ) -> Result<Vec<ContainerName>, Error> {
        let mut listed = self.listing(prefix.as_str()).await?;
        let found = permitted.into_iter().filter_map(|permitted| {
            let listed = listed.remove(permitted.full_name().as_str())?;
            Some((permitted.container().clone(), listed))
        });
        // What the engine garbled is there all the same; whoever acts on it will be told.
        let looks = found.map(async |(name, listed)| {
            let is_own = match listed {
                Some(listed) => self.is_own(&listed.id).await?,
                None => false,
            };
            Ok::<_, Error>((!is_own).then_some(name))
        });
        let looks = stream::iter(looks.collect::<Vec<_>>()).buffered(LOOKS_AT_ONCE);
        let names: Vec<Result<Option<ContainerName>, Error>> = looks.collect().await;
        names.into_iter().filter_map(Result::transpose).collect()
    }

    /// How far a container has come.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where there is none of that name, and the engine's own.
    pub async fn phase<T>(&self, permitted: &Permitted<'_, T>) -> Result<Phase, Error> {
        let found = self.locate(permitted.full_name()).await?;
        Ok(found.phase())
    }

    async fn is_own(&self, id: &ContainerId) -> Result<bool, Error> {
        if let Some(known) = self.own.is_id(id) {
            return Ok(known);
        }
        match self.inspect(id).await {
            Ok(found) => Ok(self.own.is(&found)),
            // Gone meanwhile.
            Err(Error::Refused { status: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
