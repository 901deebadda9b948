package minirunner

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
)

func aJIT(t testing.TB, change func(files map[string]map[string]any)) string {
	t.Helper()
	number := func(s string) string {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(b)
	}
	files := map[string]map[string]any{
		".runner": {"AgentId": "12", "AgentName": "r1", "PoolId": 1, "Ephemeral": true, "ServerUrlV2": "http://127.0.0.1:1/broker/", "UseV2Flow": "True",
			"ServerUrl": "http://127.0.0.1:1/tenant", "WorkFolder": "_work", "DisableUpdate": true, "GitHubUrl": "http://127.0.0.1:1/acme/web"},
		".credentials": {"Scheme": "OAuth", "Data": map[string]any{"ClientId": "c", "AuthorizationUrl": "http://127.0.0.1:1/token"}},
		".credentials_rsaparams": {"modulus": number(testKey["n"]), "exponent": "AQAB", "d": number(testKey["d"]),
			"p": number(testKey["p"]), "q": number(testKey["q"]), "dp": "AQAB", "dq": "AQAB", "inverseQ": "AQAB"},
	}
	if change != nil {
		change(files)
	}
	encoded := map[string][]byte{}
	for name, content := range files {
		encoded[name], _ = json.Marshal(content)
	}
	all, _ := json.Marshal(encoded)
	return base64.StdEncoding.EncodeToString(all)
}

func TestDecodeJIT(t *testing.T) {
	id, err := DecodeJIT(aJIT(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	if id.ID != 12 || id.Name != "r1" || !id.Ephemeral || id.Broker != "http://127.0.0.1:1/broker/" || id.Server != "http://127.0.0.1:1/tenant" || id.ClientID != "c" || id.Key == nil || !id.NoUpdate {
		t.Errorf("identity %+v", id)
	}
	for want, change := range map[string]func(map[string]map[string]any){
		"AgentId":          func(f map[string]map[string]any) { f[".runner"]["AgentId"] = "many" },
		"PoolId":           func(f map[string]map[string]any) { delete(f[".runner"], "PoolId") },
		"ServerUrlV2":      func(f map[string]map[string]any) { f[".runner"]["ServerUrlV2"] = "/broker" },
		"AuthorizationUrl": func(f map[string]map[string]any) { delete(f, ".credentials"); f[".credentials"] = map[string]any{} },
		"UseV2Flow":        func(f map[string]map[string]any) { delete(f[".runner"], "UseV2Flow") },
		"ServerUrl ":       func(f map[string]map[string]any) { delete(f[".runner"], "ServerUrl") },
		"scheme \"Basic\"": func(f map[string]map[string]any) { f[".credentials"]["Scheme"] = "Basic" },
		"inverseQ":         func(f map[string]map[string]any) { delete(f[".credentials_rsaparams"], "inverseQ") },
		"reading .runner":  func(f map[string]map[string]any) { f[".runner"]["AgentName"] = []int{1} },
		"key: ":            func(f map[string]map[string]any) { f[".credentials_rsaparams"]["p"] = "AQAB" },
		"out of range":     func(f map[string]map[string]any) { f[".credentials_rsaparams"]["exponent"] = "" },
	} {
		if _, err := DecodeJIT(aJIT(t, change)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v: want one with %q", err, want)
		}
	}
	for _, text := range []string{"", "?", "e30=", strings.Repeat("A", maxJIT+1)} {
		if _, err := DecodeJIT(text); err == nil {
			t.Errorf("%.20q was accepted", text)
		}
	}
}

func FuzzDecodeJIT(f *testing.F) {
	f.Add(aJIT(f, nil))
	f.Add("e30=")
	f.Fuzz(func(t *testing.T, encoded string) {
		id, err := DecodeJIT(encoded)
		if err == nil && (id.Key == nil || id.Broker == "" || id.TokenURL == "") {
			t.Errorf("accepted %q as %+v", encoded, id)
		}
	})
}

func TestAPIOf(t *testing.T) {
	for address, want := range map[string]string{
		"https://github.com/acme/web": "https://api.github.com", "https://acme.ghe.com/acme": "https://api.acme.ghe.com",
		"http://127.0.0.1:8090/acme/web": "http://127.0.0.1:8090/api/v3", "https://ghe.example.com/enterprises/e": "https://ghe.example.com/api/v3",
	} {
		if got, err := apiOf(address); err != nil || got != want {
			t.Errorf("%s: %s %v, want %s", address, got, err, want)
		}
	}
	for _, address := range []string{"", "acme/web", "https://github.com", "https://github.com/", "::"} {
		if got, err := apiOf(address); err == nil {
			t.Errorf("%q gave %s", address, got)
		}
	}
}
