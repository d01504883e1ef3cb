# eventhos; sourced by ../try-all.sh. The document prints one request, and names the others.

CLIENT_ID=$(fixture C1 client_id)
CLIENT_SECRET=$(fixture C1 client_secret)
EVENT=$(fixture EV identifier)

try 201 'Get token with client credential grant' -X POST "$BASE/auth/token" \
    --data-urlencode grant_type=client_credentials \
    --data-urlencode "client_id=$CLIENT_ID" --data-urlencode "client_secret=$CLIENT_SECRET"
holds 'a token' '"jwt_token":"eyJ'
ACCESS_KEY=$(member content.jwt_token)

try 201 'The same, as JSON' -X POST "$BASE/auth/token" -H 'Content-Type: application/json' \
    -d "{\"grant_type\":\"client_credentials\",\"client_id\":\"$CLIENT_ID\",\"client_secret\":\"$CLIENT_SECRET\"}"

try 200 'Send Event' -X POST "$BASE/event/send?event-identifier=$EVENT" \
    -H "access-key: $ACCESS_KEY" -H 'Content-Type: application/json' -d '{
"name": "Morpheush",
"job": "Leader",
"id": "199",
"createdAt": "2020-02-20T11:00:28.107Z"
}'
holds '200000' '{"code":200000,"message":"success"}'

try 200 'Success, but no contracts exists for this event' -X POST \
    "$BASE/event/send?event-identifier=$(fixture EV2 identifier)" -H "access-key: $ACCESS_KEY" -d '{"any":"json"}'
holds '200310' '"code":200310'

try 401 'Incorrect token' -X POST "$BASE/event/send?event-identifier=$EVENT" -H 'access-key: ****' -d '{}'
holds '401202' '"code":401202'
try 400 'event-identifier is required' -X POST "$BASE/event/send" -H "access-key: $ACCESS_KEY" -d '{}'
holds '400201' '"code":400201'
try 400 'The event does not exist.' -X POST "$BASE/event/send?event-identifier=new-bomb-k736k3hiW7" \
    -H "access-key: $ACCESS_KEY" -d '{}'
holds '400024' '"code":400024'
try 400 'Client or user not found' -X POST "$BASE/auth/token" \
    -d grant_type=client_credentials -d client_id=nobody -d client_secret=x
holds '400004' '"code":400004'

bearer=(-H "Authorization: Bearer $ACCESS_KEY" -H 'Content-Type: application/json')
SYSTEM=$(fixture S1 id)

try 200 'get all events: GET /event' "${bearer[@]}" "$BASE/event?itemsPerPage=10&pageIndex=0"
holds 'a page' '"totalPages":'
try 201 'create events: POST /event' "${bearer[@]}" -X POST "$BASE/event" \
    -d "{\"system_id\":$SYSTEM,\"identifier\":\"new-bomb\",\"name\":\"try\",\"operation\":\"new\",\"description\":\"\"}"
CREATED=$(member content.eventId)
try 201 'update events: PUT /event' "${bearer[@]}" -X PUT "$BASE/event" -d "{\"id\":$CREATED,\"name\":\"tried\"}"
try 201 'delete event: DELETE /event' "${bearer[@]}" -X DELETE "$BASE/event?id=$CREATED"

# The log follows the planes behind Kafka: wait until the event above is in it.
for _ in $(seq 60); do
    RECEIVED=$(curl -sS "${bearer[@]}" "$BASE/event/received?eventIdentifierSearch=$EVENT&order=desc&itemsPerPage=1" |
        "$python" -c 'import json, sys; print(*[row["id"] for row in json.load(sys.stdin)["content"]["items"]])')
    DETAIL=$(curl -sS "${bearer[@]}" "$BASE/event/received/${RECEIVED:-none}" |
        "$python" -c 'import json, sys
found = json.load(sys.stdin).get("content") or {"executedEventContracts": []}
print(*[row["detailId"] for row in found["executedEventContracts"]][:1])')
    [ -n "$DETAIL" ] && break
    sleep 0.5
done
try 200 'get all received events' "${bearer[@]}" "$BASE/event/received?order=desc"
holds 'the event' "\"eventIdentifier\":\"$EVENT\""
try 200 'get details of received event: GET /event/received/:id' "${bearer[@]}" "$BASE/event/received/$RECEIVED"
holds 'the body that was sent' '"name": "Morpheush"'
try 200 'get details of executed contracts: GET /received/execution-detail/:id' "${bearer[@]}" \
    "$BASE/received/execution-detail/$DETAIL"
holds 'the request' '"request":{'

NAME="try-$(date +%s)-$$"
try 201 'create system' "${bearer[@]}" -X POST "$BASE/system" \
    -d "{\"systemClass\":\"consumer\",\"identifier\":\"$NAME\",\"name\":\"try\",\"type\":\"test\",\"description\":\"\"}"
MADE=$(member content.systemId)
try 201 'delete system' "${bearer[@]}" -X DELETE "$BASE/system/$MADE"
