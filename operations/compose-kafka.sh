#!/bin/bash
# The start of the kafka service of docker-compose.yml: generates the credentials once, then runs the command given.
#
# The passwords go to volumes, not to the environment of docker-compose.yml: broker-password to the service that makes
# users and ACLs, planes-password to the planes. See docs/security.md.
set -euo pipefail

kept() {
    # The password in a file; generated when there is none.
    if [ ! -s "$1" ]; then
        head -c 24 /dev/urandom | base64 | tr '+/' '-_' >"$1.new"
        # Users differ from one image to the next; the volume is mounted where the password is needed, nowhere else.
        chmod 0444 "$1.new"
        mv "$1.new" "$1"
    fi
    cat "$1"
}

password=$(kept "${BROKER_CREDENTIALS:-/etc/kafka/secrets}/broker-password")
kept "${PLANES_CREDENTIALS:-/mnt/shared/config}/planes-password" >/dev/null

plain='org.apache.kafka.common.security.plain.PlainLoginModule'
scram='org.apache.kafka.common.security.scram.ScramLoginModule required;'
login="$plain required username=\"headrace-broker\" password=\"$password\" user_headrace-broker=\"$password\";"
export KAFKA_LISTENER_NAME_CONTROLLER_PLAIN_SASL_JAAS_CONFIG="$login"
export KAFKA_LISTENER_NAME_SASL_PLAIN_SASL_JAAS_CONFIG="$login"
export KAFKA_LISTENER_NAME_SASL_SCRAM___SHA___256_SASL_JAAS_CONFIG="$scram"
export KAFKA_LISTENER_NAME_TEAMS_SCRAM___SHA___256_SASL_JAAS_CONFIG="$scram"

exec "$@"
