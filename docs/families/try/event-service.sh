# The event service's document: its mutations and queries as printed, with ids of endpoints that exist here.
GRAPHQL=$BASE/event-service/graphql
key=$(fixture W1 key)

# graphql 'What it shows' DOCUMENT: posted as JSON; the answer must have no errors.
graphql() {
    local body
    body=$("$python" -c 'import json, sys; print(json.dumps({"query": sys.argv[1]}))' "$2")
    try 200 "$1" -X POST "$GRAPHQL" -H "Authorization: Bearer $key" -H 'Content-Type: application/json' -d "$body"
    holds 'without errors' '{"data":{'
}

graphql 'Create websocket endpoint' 'mutation {
createWebSocketEndpoint(name: "MyEndpoint") {
creationDate
id
lastModified
meta
name
type
workspaceId
}
}'
holds 'a websocket' '"type":"WEB_SOCKET"'
socket=$(member data.createWebSocketEndpoint.id)

graphql 'Create webhook endpoint' 'mutation {
createWebhookEndpoint(
name: "My Endpoint"
url: "https://web-hook.server.com"
method: "POST"
) {
creationDate
id
lastModified
meta
name
type
workspaceId
}
}'
holds 'url and method' '"meta":{"url":"https://web-hook.server.com","method":"POST"}'
webhook=$(member data.createWebhookEndpoint.id)

graphql 'Get endpoints' "query {
endpoints(filters: {id: {exact: \"$socket\"}}) {
collectionItems {
id
creationDate
lastModified
name
type
workspaceId
}
}
}"
holds 'the one endpoint' "\"id\":\"$socket\""

graphql 'Link endpoints to event filters' "mutation {
linkEndpointsToEventFilters(
endpointIds: [\"$socket\", \"$webhook\"],
eventFiltersId: \"$(fixture F1 id)\"
) {
ok
}
}"
holds 'linked' '"ok":true'

graphql 'Unlink endpoints from event filters' "mutation {
unlinkEndpointsToEventFilters(
endpointIds: [\"$socket\", \"$webhook\"],
eventFiltersId: \"$(fixture F1 id)\"
) {
ok
}
}"
holds 'unlinked' '"ok":true'

try 401 'The websocket needs the key' "$REALTIME/event-service/ws?endpoint_id=$socket"
try 400 'The websocket needs a handshake' "$REALTIME/event-service/ws?endpoint_id=$socket" -H "Authorization: Bearer $key"

graphql 'Delete endpoints' "mutation {
deleteEndpoints(endpointIds: [\"$socket\", \"$webhook\"]) {
ok
}
}"
holds 'deleted' '"ok":true'

graphql 'Events' '{ events(order: {date: DESC}, pagination: {limit: 2}) { totalCount collectionItems { id type date data } } }'

try 401 'No key' -X POST "$GRAPHQL" -H 'Content-Type: application/json' -d '{"query":"{ endpoints { totalCount } }"}'
try 200 'GraphiQL for browsers' "$GRAPHQL" -H 'Accept: text/html'
