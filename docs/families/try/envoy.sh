# The Envoy document's calls. The organisation and the user are the ones that it prints.
token=$(fixture U key)

try 200 'GET /events/provision' --request GET \
    --url "$BASE/events/provision" \
    --header 'Accept: application/json' \
    --header "Authorization: Bearer $token"
holds 'the organisation is provisioned' '"provisioned":true'

try 200 'GET /events/connection_token' --request GET \
    --url "$BASE/events/connection_token" \
    --header 'Accept: application/json' \
    --header "Authorization: Bearer $token"
holds 'a token' '"token":"eyJ'

try 200 'GET /events/subscription_token, with a body' --request GET \
    --url "$BASE/events/subscription_token" \
    --header 'Accept: application/json' \
    --header "Authorization: Bearer $token" \
    --header 'Content-Type: application/json' \
    --data '{"channel":"shipments:org_26ZZVNs2QURl4yY6owPARekUbMa#usr_26ZZVRrmnPTXTcZIuzXLZdnigLW"}'
holds 'a token' '"token":"eyJ'

try 200 'GET /events/subscription_token, the channel in the query' --get \
    --url "$BASE/events/subscription_token" \
    --header "Authorization: Bearer $token" \
    --data-urlencode 'channel=shipments:org_26ZZVNs2QURl4yY6owPARekUbMa'

try 403 'a channel of another user' --request GET \
    --url "$BASE/events/subscription_token" \
    --header "Authorization: Bearer $token" \
    --header 'Content-Type: application/json' \
    --data '{"channel":"shipments:org_26ZZVNs2QURl4yY6owPARekUbMa#usr_OTHER"}'
holds 'an error' '"error":'

try 401 'no access token' --request GET --url "$BASE/events/connection_token"

try 200 'GET /events/deprovision' --request GET \
    --url "$BASE/events/deprovision" \
    --header 'Accept: application/json' \
    --header "Authorization: Bearer $token"

try 403 'no tokens after that' --request GET \
    --url "$BASE/events/connection_token" \
    --header "Authorization: Bearer $token"

try 200 'POST does what GET does' --request POST \
    --url "$BASE/events/provision" \
    --header "Authorization: Bearer $token" \
    --header 'Content-Type: application/json' \
    --data '{"public_namespaces":["announcements"]}'
holds 'a public namespace' '"public_namespaces":["announcements"]'
