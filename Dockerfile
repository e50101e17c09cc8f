# One image for the API, the orchestrator and the worker; compose.yaml names the command.
FROM python:3.12-slim AS build
WORKDIR /src
RUN python -m venv --without-pip /opt/flowengine
COPY pyproject.toml README.md LICENSE ./
COPY flowengine ./flowengine
RUN python -m pip --python /opt/flowengine/bin/python install --no-cache-dir --disable-pip-version-check .

FROM python:3.12-slim
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
