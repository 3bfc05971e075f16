# The web page and the HTTP API in a container that keeps nothing:
#   docker build -t hashigo .
#   docker run --rm --read-only --tmpfs /tmp --cap-drop ALL -p 127.0.0.1:8000:8000 hashigo
FROM python:3.11-slim AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN python -m venv /opt/hashigo \
    && /opt/hashigo/bin/pip install --no-cache-dir --constraint constraints.txt ".[serve,heic]"

FROM python:3.11-slim
COPY --from=build /opt/hashigo /opt/hashigo
ENV PATH=/opt/hashigo/bin:$PATH \
    HOME=/tmp \
    HASHIGO_STATE=/tmp/hashigo \
    PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["hashigo", "serve", "--host", "0.0.0.0"]
