package jit_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim/jit"
)

func TestEncode(t *testing.T) {
	key, err := jit.NewRing().Key()
	if err != nil {
		t.Fatal(err)
	}
	text := jit.Config{
		RunnerID: 7, Name: "r1", Group: "Default", GroupID: 1, WorkFolder: "_work", ClientID: "c", GitHubURL: "http://h/acme/web",
		ServerURL: "http://h/t", BrokerURL: "http://h/b/", AuthURL: "http://h/a", Key: key,
	}.Encode()
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	var files map[string][]byte
	if err := json.Unmarshal(data, &files); err != nil {
		t.Fatal(err)
	}
	var runner map[string]any
	if err := json.Unmarshal(files[".runner"], &runner); err != nil {
		t.Fatal(err)
	}
	// every value is a text, also numbers and booleans: that is how GitHub writes them
	want := map[string]any{
		"AgentId": "7", "AgentName": "r1", "DisableUpdate": "True", "Ephemeral": "True", "PoolId": "1", "PoolName": "Default",
		"ServerUrl": "http://h/t", "ServerUrlV2": "http://h/b/", "UseV2Flow": "True", "GitHubUrl": "http://h/acme/web", "WorkFolder": "_work",
	}
	if d := cmp.Diff(want, runner); d != "" {
		t.Errorf(".runner (-want +got):\n%s", d)
	}
	for _, name := range []string{".credentials", ".credentials_rsaparams"} {
		if len(files[name]) == 0 {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestRingReusesKeys(t *testing.T) {
	r := jit.NewRing()
	seen := map[string]bool{}
	for range 20 {
		k, err := r.Key()
		if err != nil {
			t.Fatal(err)
		}
		seen[k.N.String()] = true
	}
	if len(seen) > 4 {
		t.Errorf("%d keys, want at most 4", len(seen))
	}
}

const goodKey = "<RSAKeyValue><Modulus>%</Modulus><Exponent>AQAB</Exponent></RSAKeyValue>"

func TestParsePublicKey(t *testing.T) {
	modulus := base64.StdEncoding.EncodeToString(append([]byte{0x80}, make([]byte, 255)...))
	k, err := jit.ParsePublicKey(strings.Replace(goodKey, "%", modulus, 1))
	if err != nil || k.E != 65537 || k.N.BitLen() != 2048 {
		t.Fatalf("key is %v, %v", k, err)
	}
	for _, text := range []string{
		"", "<a/>", strings.Replace(goodKey, "%", "!", 1), strings.Replace(goodKey, "%", "AQAB", 1),
		strings.NewReplacer("%", modulus, "AQAB", "AQ==").Replace(goodKey), strings.NewReplacer("%", modulus, "AQAB", modulus).Replace(goodKey),
	} {
		if _, err := jit.ParsePublicKey(text); err == nil {
			t.Errorf("%.60q was taken", text)
		}
	}
}

func FuzzParsePublicKey(f *testing.F) {
	f.Add(strings.Replace(goodKey, "%", "gAAA", 1))
	f.Fuzz(func(t *testing.T, text string) {
		if k, err := jit.ParsePublicKey(text); err == nil && (k.E < 3 || k.N.BitLen() < 1024) {
			t.Errorf("%q gave exponent %d and %d bits", text, k.E, k.N.BitLen())
		}
	})
}
