#!/bin/sh
# MLflow's server on PostgreSQL. Files of runs and models go through it, so that nobody else needs the store's keys.
#
#   DATABASE=postgresql+psycopg2://mlflow:PASSWORD@db.example.org/mlflow ARTIFACTS=s3://BUCKET/mlflow docs/templates/mlflow-server.sh
#
# DATABASE   an empty database at first, whose tables the server makes; after an update of MLflow: mlflow db upgrade $DATABASE
# ARTIFACTS  a folder, or a store that MLflow knows (s3://, gs://, wasbs://)
# HOST, PORT where it listens, by default at 127.0.0.1:5000: put what asks for passwords and speaks TLS in front of it
# MLFLOW_SERVER_ALLOWED_HOSTS  the names by which it is called, such as that-machine:5000,localhost:*,127.0.0.1:*: MLflow refuses
#            all others; where it is not set, all but localhost and private addresses
set -eu
: "${DATABASE:?say which database: DATABASE=postgresql+psycopg2://USER:PASSWORD@HOST/NAME}"
: "${ARTIFACTS:?say where files go: ARTIFACTS=/srv/mlflow or s3://BUCKET/mlflow}"
exec mlflow server --backend-store-uri "$DATABASE" --artifacts-destination "$ARTIFACTS" --serve-artifacts \
    --host "${HOST:-127.0.0.1}" --port "${PORT:-5000}" --workers "${WORKERS:-2}"
