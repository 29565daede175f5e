#!/usr/bin/env bash
# Writes the secrets that compose.yaml mounts into deploy/secrets (ignored by
# git). What exists is kept: a new encryption key would make old data
# unreadable, and a new password would lock the components out.
#
# Stripe's test keys are taken from STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRET.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

directory=deploy/secrets
mkdir -p "$directory"
# Containers read the files as an unprivileged user, so the files are readable
# and the folder keeps everybody else on this machine out.
chmod 700 "$directory"

keep() {
  [[ -s $directory/$1 ]] || printf '%s\n' "$2" >"$directory/$1"
}
random() { head -c 24 /dev/urandom | base64 | tr '+/' '-_'; }

keep postgres_password "$(random)"
password=$(<"$directory/postgres_password")
keep database_admin_url "postgres://postgres:$password@postgres:5432/commerce?sslmode=disable"
for component in analytics auth billing notification order product user; do
  keep "database_url_$component" "postgres://commerce_$component:$(random)@postgres:5432/commerce?sslmode=disable"
done
go run ./cmd/commerce keys "$directory" >/dev/null
[[ -e $directory/identity_keys ]] || mv "$directory/identity.keys" "$directory/identity_keys"
[[ -e $directory/encryption_keys ]] || mv "$directory/encryption.keys" "$directory/encryption_keys"
rm -f "$directory/identity.keys" "$directory/encryption.keys"
keep stripe_secret_key "${STRIPE_SECRET_KEY:-}"
keep stripe_webhook_secret "${STRIPE_WEBHOOK_SECRET:-}"
chmod 444 "$directory"/*
echo "Secrets are in $directory."
