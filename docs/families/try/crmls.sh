# CRMLS EventGateway; sourced by ../try-all.sh.

KEY=$(fixture KEY key)

try 200 'Token request using query parameter' -X POST "$BASE/api/token?apiKey=$KEY"
TOKEN=$(member token)

try 200 'Event Post, as printed: with a trailing comma' -X POST "$BASE/api/app/events" \
    -H 'accept: application/json' -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
    -H 'Origin: https://eventgateway.crmls.io' -H 'Accept-Encoding: gzip, deflate, br' --compressed -d '
{
"eventName": "Offer1234",
"eventTime": "2021-03-04T16:36:54.591Z",
"messageType": "Offer",
"message": {
"ListingId":"#####",
"OfferId":"#####",
"OfferAmount":"#####",
}
}'
holds 'the time is spelled with an offset' '"eventTime":"2021-03-04T16:36:54.591+00:00"'
holds 'the account of the key is the source' "\"sourceAccount\":\"$(fixture KEY client)\""

try 200 'Event Post, without the comma' -X POST "$BASE/api/app/events" \
    -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '
{
"eventName": "Offer1234",
"eventTime": "2021-03-04T16:36:54.591Z",
"messageType": "Offer",
"message": {
"ListingId":"#####",
"OfferId":"#####",
"OfferAmount":"#####"
}
}'

try 401 'A key opens nothing but the token request' -X POST "$BASE/api/app/events?apiKey=$KEY" \
    -H 'Content-Type: application/json' -d '{"eventName":"Offer1234"}'

try 200 'The interactive documentation' "$BASE/docs/swagger/index.html"
