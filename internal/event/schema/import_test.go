package schema

import (
	"bytes"
	"strings"
	"testing"
)

// TestOpenAPIComesBack reads what is written of all real events.
func TestOpenAPIComesBack(t *testing.T) {
	var r Registry
	for _, event := range realEvents(t) {
		observe(t, &r, event)
	}
	for _, name := range r.Names() {
		want := asSettled(r.Latest(name))
		document, err := want.OpenAPI()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseOpenAPI(document)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got.Version = want.Version
		if changes := Diff(want, got); got.Name() != name || len(changes) > 0 {
			t.Errorf("%s came back as %s with %v", name, got.Name(), changes)
		}
		if again, err := got.OpenAPI(); err != nil || !bytes.Equal(again, document) {
			t.Errorf("%s: written again it differs, %v", name, err)
		}
	}
}

// discovered is in the form that EventBridge's discoverer gives.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-schema-create.html
const discovered = `{"openapi":"3.0.0","info":{"version":"1.0.0","title":"OrderPlaced"},"paths":{},"components":{"schemas":{
 "AWSEvent":{"type":"object","required":["detail-type","resources","detail","id","source","time","region","version","account"],
  "x-amazon-events-detail-type":"Order Placed","x-amazon-events-source":"acme.shop",
  "properties":{"detail":{"$ref":"#/components/schemas/OrderPlaced"},"account":{"type":"string"},"time":{"type":"string","format":"date-time"}}},
 "OrderPlaced":{"type":"object","required":["items"],"properties":{"items":{"type":"array","items":{"$ref":"#/components/schemas/Item"}},"note":{}}},
 "Item":{"type":"object","required":["price"],"properties":{"price":{"type":"number"},"next":{"$ref":"#/components/schemas/Item"}}}}}}`

func TestDiscoveredSchema(t *testing.T) {
	s, err := ParseOpenAPI([]byte(discovered))
	if err != nil {
		t.Fatal(err)
	}
	items := s.Detail.Fields["items"]
	if s.Name() != "acme.shop@OrderPlaced" || items.Optional || items.Items.Fields["price"].Types != Number || !s.Detail.Fields["note"].Optional {
		t.Errorf("read as %s, %+v", s.Name(), s.Detail)
	}
	for _, broken := range []string{``, `[]`, `{}`, strings.Replace(discovered, "x-amazon-events-source", "x", 1)} {
		if _, err := ParseOpenAPI([]byte(broken)); err == nil {
			t.Errorf("%.20q was read without error", broken)
		}
	}
}

func FuzzParseOpenAPI(f *testing.F) {
	f.Add([]byte(discovered))
	f.Fuzz(func(t *testing.T, document []byte) {
		s, err := ParseOpenAPI(document)
		if err != nil {
			return
		}
		if _, err := s.OpenAPI(); err != nil {
			t.Errorf("%s: %v", document, err)
		}
	})
}
