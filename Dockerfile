FROM python:3.11-slim

RUN useradd --create-home --home-dir /var/lib/headrace headrace
WORKDIR /opt/headrace
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY schemas schemas
COPY backbone backbone
COPY ingest_api ingest_api
COPY stream_processors stream_processors
COPY connectors connectors
COPY families families
COPY processes processes
COPY operations operations
COPY examples examples
RUN pip install --no-cache-dir --constraint constraints.txt '.[postgresql,telemetry]' \
    && python -m operations.sbom > sbom.json

USER headrace
WORKDIR /var/lib/headrace
ENV HEADRACE_DATA_DIR=/var/lib/headrace/data
RUN mkdir -m 0700 data
VOLUME /var/lib/headrace/data
ENTRYPOINT ["headrace"]
CMD ["--help"]
