# Acoustic Exchange; sourced by ../try-all.sh. Typographic quotes, the host, the placeholders and missing brackets are put right.

PUB=$(fixture PUB id)
pub=(-H "Authorization: Bearer $(fixture PUB key)" -H 'Content-Type: application/json')
SUB=$(fixture SUB id)
sub=(-H "Authorization: Bearer $(fixture SUB key)" -H 'Content-Type: application/json')
PULL=$(fixture PULL id)
pull=(-H "Authorization: Bearer $(fixture PULL key)" -H 'Content-Type: application/json')

# Subscriptions are made by people in Exchange's user interface; here by our own API.
admin=(-H "Authorization: Bearer ${HEADRACE_ADMIN_KEY:-$(cat "${HEADRACE_DATA_DIR:-.headrace}/admin-key")}" -H 'Content-Type: application/json')
for consumer in "$SUB" "$PULL"; do
    try 201 'A filter on what PUB publishes' "${admin[@]}" "$BASE/headrace/v1/filters" -H "Idempotency-Key: try $consumer" \
        -d "{\"name\":\"try\",\"types\":[{\"namespace\":\"exchange\",\"code\":\"ibmproductView\"}],\"sources\":[\"$PUB\"]}"
    try 201 'Subscribed to it' "${admin[@]}" "$BASE/headrace/v1/subscriptions" \
        -d "{\"filter\":\"$(member id)\",\"endpoint\":\"$consumer\"}"
done

try 200 'POST /v1/event: an individual event' -X POST "${pub[@]}" "$BASE/v1/event" \
    -d '{"channel":"mobile","identifiers":[{"name":"email","value":"someone@example.org"},
{"name":"cookieId","value":"abc-123"}],
"events":[{"code":"ibmproductView","timestamp":"2015-02-28T20:16:12Z",
"attributes":[{"name":"productID","value":"P-1","type":"string"},
{"name":"orderTotal","value":"125.53",
"type":"number"}]}]}'
holds 'one event' '{"accepted":1}'

try 200 'POST /v1/event: a simple batch' -X POST "${pub[@]}" "$BASE/v1/event" -d '{
"events":[
{
"code":"ibmproductView",
"timestamp":"2015-02-28T20:16:12Z",
"channel":"mobile",
"attributes":[
{"name":"productID","value":"P-1","type":"String"},
{"name":"orderTotal","value":"125.53","type":"Number"}
],
"identifiers":[{"name":"email","value":"someone@example.org"},{"name":"cookieId","value":"abc-123"}]
},
{
"code":"ibmproductView",
"timestamp":"2015-02-28T20:16:13Z",
"channel":"Web",
"attributes":[
{"name":"productID","value":"P-2","type":"String"},
{"name":"orderTotal","value":"7","type":"Number"}
],
"identifiers":[{"name":"email","value":"someone@example.org"}]
}
]
}'
holds 'two events' '{"accepted":2}'

try 200 'POST /v1/event: a compound batch with a channel on each event' -X POST "${pub[@]}" "$BASE/v1/event" -d '{
"provider" : "Acoustic",
"eventbatch": [
{
"identifiers" :[{"name" : "email", "value" : "someone@example.org"}],
"events":[{"code" : "ibmproductView", "channel" : "Web", "attributes" :[{ "name": "productID", "value": "P-1" }]}]
},
{ "identifiers" :[{"name" : "cookieId", "value" : "abc-123", "channel" : "Web", "provider" : "Acoustic" }],
"events":[{"code" : "ibmproductView", "channel" : "mobile", "attributes" :[{ "name": "productID", "value": "P-2" }]}]
}
]
}'
holds 'two events' '{"accepted":2}'

try 200 'POST /v1/event: a compound batch with one channel' -X POST "${pub[@]}" "$BASE/v1/event" -d '{
"provider" : "Acoustic",
"channel" : "Web",
"eventbatch": [
{ "identifiers" :[{"name" : "email", "value" : "someone@example.org"}],
"events":[{"code" : "ibmproductView", "attributes" :[{ "name": "productID", "value": "P-1" }]}]
},
{ "identifiers" :[{"name" : "cookieId", "value" : "abc-123", "channel" : "Web", "provider" : "Acoustic" }],
"events":[{"code" : "ibmproductView", "attributes" :[{ "name": "productID", "value": "P-2" }]}]
}
]
}'
holds 'two events' '{"accepted":2}'

try 200 'POST /v1/eventtype' -X POST "${pub[@]}" "$BASE/v1/eventtype" \
    -d '{"code" : "tried","name" : "Tried", "description" : "An event type that is tried"}'
try 200 'POST /v1/eventtype with all members' -X POST "${pub[@]}" "$BASE/v1/eventtype" -d '{
"code" : "triedWhole", "name" : "Tried as a whole", "description" : "Another one", "namespace" : "partner", "version" : 1,
"registrationType" : "PUBLISH", "attributes": [ { "name" : "orderTotal", "type" : "Number" } ] }'
try 200 'GET /v1/eventtype' -X GET "${pub[@]}" "$BASE/v1/eventtype"
holds 'what was registered' '"code":"triedWhole","version":1,"namespace":"partner"'

try 200 'GET /v1/eventtype/subscribed, as the example spells it' -X GET "${pub[@]}" "$BASE/v1/eventype/subscribed"
holds 'codes only' '["ibmproductView"]'
try 200 'GET /v1/eventtype/subscribed/producer, likewise' -X GET "${pub[@]}" "$BASE/v1/eventype/subscribed/producer"
holds 'the event type' '"code":"ibmproductView"'
try 200 'GET /v1/eventtype/subscribed/consumer' -X GET "${sub[@]}" \
    "$BASE/v1/eventtype/subscribed/consumer?extrafields=provider,publisher"
holds 'who publishes it' '"publisher":"Exchange PUB"'

attributes='[ { "name" : "productID", "type" : "String" }, { "name" : "orderTotal", "type" : "Number" } ]'
try 200 'PUT /v1/eventtype/attributes/publisher/{id}, with POST as the example' -X POST "${pub[@]}" \
    "$BASE/v1/eventtype/attributes/publisher/$PUB" -d "$attributes"
try 200 'PUT /v1/eventtype/attributes/subscriber/{id}, likewise' -X POST "${sub[@]}" \
    "$BASE/v1/eventtype/attributes/subscriber/$SUB" -d "$attributes"

try 200 'DELETE /v1/eventtype/{code}' -X DELETE "${pub[@]}" "$BASE/v1/eventtype/tried"
holds 'removed' 'true'
try 200 'DELETE /v1/eventtype/{code}, of a namespace' -X DELETE "${pub[@]}" "$BASE/v1/eventtype/triedWhole?namespace=partner"
try 200 'DELETE /v1/eventtype/{code} again' -X DELETE "${pub[@]}" "$BASE/v1/eventtype/tried"
holds 'not removed' 'false'

# A file is cut some seconds after its first event.
for _ in $(seq 120); do
    FILE=$(curl -sS "${pull[@]}" "$BASE/v1/eventfiles" | "$python" -c 'import json, sys; print(*json.load(sys.stdin)[:1])')
    [ -n "$FILE" ] && break
    sleep 0.5
done
try 200 'GET /v1/eventfiles' -X GET "${pull[@]}" "$BASE/v1/eventfiles"
try 200 'GET /v1/eventfiles?numFiles=5' -X GET "${pull[@]}" "$BASE/v1/eventfiles?numFiles=5"
holds 'a file' '"'
try 200 'GET /v1/eventfiles/<filename>' -X GET "${pull[@]}" "$BASE/v1/eventfiles/$FILE"
holds 'an event' '"code":"ibmproductView"'
try 200 'DELETE /v1/eventfiles/<filename>' -X DELETE "${pull[@]}" "$BASE/v1/eventfiles/$FILE"

try 200 'GET /v1/endpoint/{endpointId}/eventinfo' "${pub[@]}" "$BASE/v1/endpoint/$PUB/eventinfo"
BROWSER_KEY=$(member eventAuthKey)
try 200 'POST /v1/customEvent with that key' -X POST "$BASE/v1/customEvent" -H "Authorization: Bearer $BROWSER_KEY" \
    -H 'Content-Type: application/json' -H 'Origin: https://shop.example' \
    -d '{"channel":"Web","identifiers":[{"name":"cookieId","value":"abc-123"}],
"events":[{"code":"ibmproductView","timestamp":"2026-11-21T07:00:00.000Z","attributes":[]}]}'
try 200 'A browser asks whether it may' -X OPTIONS "$BASE/v1/customEvent" -H 'Origin: https://shop.example' \
    -H 'Access-Control-Request-Method: POST' -H 'Access-Control-Request-Headers: authorization,content-type'

NOTIFIED='"notificationKey":"account 7", "notificationURL" : "https://notified.example/exchange"'
try 200 'PUT /v1/subscription/notification: no authentication' -X PUT "${pub[@]}" "$BASE/v1/subscription/notification" \
    -d "{$NOTIFIED}"
try 200 'PUT /v1/subscription/notification: API key' -X PUT "${pub[@]}" "$BASE/v1/subscription/notification" \
    -d "{\"authentication\": { \"authType\" : \"APIKey\", \"APIKey\" : \"an api key\" }, $NOTIFIED}"
try 200 'PUT /v1/subscription/notification: HTTP basic' -X PUT "${pub[@]}" "$BASE/v1/subscription/notification" \
    -d "{\"authentication\": { \"authType\" : \"Basic\", \"userId\" : \"me\", \"password\" : \"a password\" }, $NOTIFIED}"
try 200 'PUT /v1/subscription/notification: OAuth' -X PUT "${pub[@]}" "$BASE/v1/subscription/notification" \
    -d "{\"authentication\": { \"authType\" : \"OAuth\", \"authURL\": \"https://login.example/token\", \"clientID\" : \"me\",
\"clientSecret\" : \"a secret\", \"refreshToken\": \"a refresh token\" }, $NOTIFIED}"
try 200 'PUT /v1/subscription/notification: refresh token only' -X PUT "${pub[@]}" "$BASE/v1/subscription/notification" \
    -d "{\"authentication\": { \"authType\" : \"OAuthRefreshTokenOnly\", \"authURL\" : \"https://login.example/token\",
\"supplierKey\" : \"a supplier key\", \"refreshToken\" : \"a refresh token\" }, $NOTIFIED}"
holds 'no secret' '"authType":"OAuthRefreshTokenOnly"'
try 200 'DELETE /v1/subscription/notification' -X DELETE "${pub[@]}" "$BASE/v1/subscription/notification"
try 404 'DELETE /v1/subscription/notification again' -X DELETE "${pub[@]}" "$BASE/v1/subscription/notification"
