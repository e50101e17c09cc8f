# One image for the API, the orchestrator and the worker; compose.yaml names the command.
#
# Its base is `python:3.12-slim`, or another tag, or one fixed by its digest:
#   docker build --build-arg PYTHON_IMAGE=python:3.12-slim@sha256:DIGEST .
# The versions of the libraries are those of .image/constraints.txt, so that the same files make the same image.
ARG PYTHON_IMAGE=default-python
FROM python:3.12-slim AS default-python

# (Indented, so that tools which look for base images at the beginning of a line find the one above.)
 FROM ${PYTHON_IMAGE} AS build
WORKDIR /src
RUN python -m venv --without-pip /opt/flowengine
COPY pyproject.toml README.md LICENSE ./
COPY flowengine ./flowengine
COPY .image ./.image
# The second name is that of newer versions of pip, for what only the build needs.
ENV PIP_CONSTRAINT=/src/.image/constraints.txt \
    PIP_BUILD_CONSTRAINT=/src/.image/constraints.txt
RUN python -m pip --python /opt/flowengine/bin/python install --no-cache-dir --disable-pip-version-check '.[otel]'
RUN /opt/flowengine/bin/python .image/third_party_notices.py > /opt/flowengine/THIRD_PARTY_NOTICES.txt

 FROM ${PYTHON_IMAGE}
# Nothing is installed in a running container: pip and its vendored libraries would only age there.
RUN rm -rf /usr/local/lib/python3*/site-packages/pip* /usr/local/lib/python3*/site-packages/setuptools* \
    /usr/local/lib/python3*/ensurepip /usr/local/bin/pip*
# The base image has its standard library without bytecode: every process would compile what it imports,
# at each start, and stay some 8 MB larger.
RUN python -m compileall -q "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
COPY --from=build /opt/flowengine /opt/flowengine
ENV PATH=/opt/flowengine/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
# A folder for modules with your own handlers: mount it, name them in FLOWENGINE_HANDLERS.
WORKDIR /app
USER 10001:10001
ENTRYPOINT ["flowengine"]
CMD ["--help"]
