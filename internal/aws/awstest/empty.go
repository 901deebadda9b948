package awstest

import "net/http"

// Alarms stands in for CloudWatch's alarms, whose protocol moto does not speak: there are
// none.
func Alarms() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("smithy-protocol", "rpc-v2-cbor")
		w.Header().Set("Content-Type", "application/cbor")
		_, _ = w.Write([]byte{0xa0}) // an empty map
	})
}
