# localqueue in a container; docs/how-to-containers.md explains each setting.
FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY localqueue localqueue
RUN pip wheel --no-cache-dir --wheel-dir /wheels .

FROM python:3.13-slim
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels iec-localqueue \
    && useradd --create-home queue
USER queue
WORKDIR /home/queue
EXPOSE 4327
HEALTHCHECK --interval=5s --timeout=2s --start-period=2s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://localhost:4327/health')"]
ENTRYPOINT ["localqueue", "up", "--host", "0.0.0.0", "--allow-remote"]
