# The filters, and nothing else; `make images` builds it, and the context has only these files.
# A pod mounts the image as a volume. An init container copies the file, and needs `cp`: --build-arg BASE=busybox.
ARG BASE=scratch
FROM ${BASE}
COPY sluice.wasm /sluice.wasm
