# The image of relayer-controller: one static binary and nothing else.
#
#   docker build -t relayer-controller .
#
# It runs with a read-only root, without capabilities and with no-new-privileges, see docker-compose.yml. The policy is
# not part of the image: mount its directory at /etc/relayer-controller, readable for everybody.

ARG RUST_VERSION=1.95

FROM rust:${RUST_VERSION}-slim-bookworm AS build
WORKDIR /build

# +crt-static puts the C library into the binary. Cargo must be told the target by name for it, even where it is the
# machine's own, so that procedural macros stay loadable libraries.
# Packed relocations are 200 KiB less. Code that is to be small copies values of 65 to 128 bytes with an instruction that
# takes long to begin, or, told so, with up to 7 stores: 100 KiB more, and for each answer a tenth less of the time
# that is spent outside the kernel.
ENV RUSTFLAGS="-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs -C llvm-args=-max-store-memcpy=7"

# The dependencies on their own, with empty sources: this layer is built again only when Cargo.toml or Cargo.lock change.
# (The benchmarks are not built, but Cargo wants every file that Cargo.toml names to exist.)
COPY Cargo.toml Cargo.lock ./
RUN mkdir src benches && touch src/lib.rs benches/numbers.rs benches/actions.rs benches/mirror.rs benches/decision.rs && echo 'fn main() {}' > src/main.rs \
    && cargo build --release --locked --target "$(rustc --print host-tuple)"

# Cargo compares times: without the touch, sources older than the empty ones would count as built.
COPY src ./src
RUN touch src/lib.rs src/main.rs \
    && cargo build --release --locked --target "$(rustc --print host-tuple)" \
    && mv "target/$(rustc --print host-tuple)/release/relayer-controller" /relayer-controller

FROM scratch

# The commit this was built from: --build-arg REVISION="$(git rev-parse HEAD)"
ARG REVISION=unknown
LABEL org.opencontainers.image.title="relayer-controller" \
      org.opencontainers.image.description="The least-privilege door to the Docker engine: these verbs on these containers, and nothing else." \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}"

COPY --from=build /relayer-controller /bin/relayer-controller

# Where relayer-controller.toml is looked for.
WORKDIR /etc/relayer-controller
EXPOSE 8089

# It starts as root only to find the group of the engine's socket, and becomes this user with that group: which group it
# is differs from host to host. Changing takes the capabilities SETUID and SETGID, which are gone afterwards.
# Started as somebody else it stays that user, who needs the group: `user: "1000:<gid of /var/run/docker.sock>"`.
ENV RELAYER_CONTROLLER_SERVER__USER=65532
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s --retries=3 CMD ["/bin/relayer-controller", "healthcheck"]
ENTRYPOINT ["/bin/relayer-controller"]
