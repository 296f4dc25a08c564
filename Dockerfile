# A node of the mesh in a container: docs/service.md.
# Everything is built here from package-lock.json; the image that runs has no compiler, no package manager's cache and no sources.
FROM node:24-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
COPY tools ./tools
RUN npm ci --ignore-scripts
COPY tsconfig.base.json tsconfig.json ./
COPY bin ./bin
COPY scripts ./scripts
COPY src ./src
RUN node scripts/build.ts --clean

FROM node:24-bookworm-slim
LABEL org.opencontainers.image.title="synaptic-mesh" \
      org.opencontainers.image.description="A private network for AI agents, with no server in the middle" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
ENV NODE_ENV=production \
    SYNAPTIC_MESH_DATA_DIR=/data
COPY LICENSE-MIT LICENSE-APACHE package.json /app/
COPY --from=build /build/bin /app/bin
COPY --from=build /build/dist /app/dist
RUN ln -s /app/bin/synaptic-mesh.js /usr/local/bin/synaptic-mesh \
 && mkdir /data && chown node:node /data && chmod 0700 /data
# uid 1000, without a password, without any capability.
USER node
WORKDIR /data
VOLUME /data
EXPOSE 9000 9001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 CMD ["synaptic-mesh", "p2p", "status", "--json", "--no-start", "--timeout", "5"]
# The first start makes identity and configuration; exec hands the signals of the container to the node, which ends cleanly.
CMD ["sh", "-c", "synaptic-mesh p2p init --no-start --json > /dev/null && exec synaptic-mesh p2p start --foreground"]
