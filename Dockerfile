# The one image of Tidegate: operator, flag server and command line are the same program with different arguments.
#
# The build itself needs no network. Its context holds what was installed beforehand from uv.lock, hashes checked:
#   dependencies/   the third-party packages
#   application/    the wheel of this project, unpacked
# `dev/cluster build-image` prepares the context in build/image and builds; by hand, once it is prepared:
#   docker build -f Dockerfile -t tidegate build/image
#
# Any base with Python 3.11 as python3 will do; the dependencies are made for that release.
ARG BASE=docker.io/library/python:3.11-slim
FROM ${BASE}

ENV PYTHONPATH=/opt/tidegate/application:/opt/tidegate/dependencies \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

# Compiled here because the root filesystem is read-only later. Their hashes need no check: nothing changes them.
COPY dependencies /opt/tidegate/dependencies
RUN python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/tidegate/dependencies

COPY application /opt/tidegate/application
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /opt/tidegate/application

USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["python3", "-m", "tidegate"]
