#!/bin/sh
# Creates the namespace, or sets its retention where it exists; safe to repeat. The address and the name
# are Temporal's own variables: TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE.
set -eu

namespace=${TEMPORAL_NAMESPACE:?}
retention=${TEMPORAL_RETENTION:-30d}

# Tries the command every two seconds, for two minutes.
patiently() {
    tries=60
    while ! "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        if [ "$tries" -le 0 ]; then
            echo "Gave up on: $*" >&2
            "$@"
            exit 1
        fi
        sleep 2
    done
}

create_or_update() {
    if temporal operator namespace describe --namespace "$namespace"; then
        temporal operator namespace update --namespace "$namespace" --retention "$retention"
    else
        temporal operator namespace create --namespace "$namespace" --retention "$retention"
    fi
}

patiently temporal operator cluster health
patiently create_or_update
# A new namespace is unknown to parts of the server for some seconds.
patiently temporal workflow count --namespace "$namespace"
echo "Namespace $namespace keeps closed cases for $retention"
