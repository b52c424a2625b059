# docker build -t yingda .
# docker run -p 8080:8080 -e YINGDA_TOKENS=... -v yingda-data:/data -v yingda-index:/index yingda

FROM rust:1-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends make python3 python3-pip \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
# OpenCC first: this layer stays as it is while only the sources change.
COPY Makefile Cargo.toml ./
COPY .ci .ci
RUN make setup
COPY . .
RUN cargo build --release --locked

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends libstdc++6 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin yingda \
    && install -d -o yingda /data /index
COPY --from=build /build/target/release/yingda /usr/local/bin/yingda
# Your own content: -v /path/to/faq:/faq:ro
COPY faq /faq
USER yingda
# Conversations are in /data: keep that volume. The index can be built again; its volume saves the time.
VOLUME ["/data", "/index"]
EXPOSE 8080
ENTRYPOINT ["yingda"]
# Others reach this address, so the service refuses to start without tokens: give them in YINGDA_TOKENS.
CMD ["serve", "--listen", "0.0.0.0:8080", "--faq", "/faq", "--index", "/index", "--data", "/data"]
