package githubsim_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
)

// A handRunner speaks the runner protocol, one call at a time.
type handRunner struct {
	w       *world
	key     *rsa.PrivateKey
	client  string
	auth    string // URL
	broker  string // URL, ends in a slash
	access  string // token
	session string
}

// jitRunner asks for a JIT configuration and reads it as a runner does.
func (w *world) jitRunner(name string, labels ...string) *handRunner {
	w.t.Helper()
	a := w.api(http.StatusCreated, "POST", "/repos/acme/web/actions/runners/generate-jitconfig",
		map[string]any{"name": name, "runner_group_id": 1, "labels": labels})
	return w.decodeJIT(a.body["encoded_jit_config"].(string))
}

func (w *world) decodeJIT(encoded string) *handRunner {
	w.t.Helper()
	var files map[string][]byte
	data, err := base64.StdEncoding.DecodeString(encoded)
	if err == nil {
		err = json.Unmarshal(data, &files)
	}
	var runner map[string]string
	var credentials struct {
		Data map[string]string
	}
	var key map[string][]byte
	for name, into := range map[string]any{".runner": &runner, ".credentials": &credentials, ".credentials_rsaparams": &key} {
		if err == nil {
			err = json.Unmarshal(files[name], into)
		}
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return &handRunner{
		w: w, key: w.decodeKey(key), client: credentials.Data["ClientId"], auth: credentials.Data["AuthorizationUrl"], broker: runner["ServerUrlV2"],
	}
}

// decoded has the private keys read so far by modulus: to check one takes long.
var decoded sync.Map

func (w *world) decodeKey(parameters map[string][]byte) *rsa.PrivateKey {
	w.t.Helper()
	if known, found := decoded.Load(string(parameters["modulus"])); found {
		return known.(*rsa.PrivateKey)
	}
	number := func(name string) *big.Int { return new(big.Int).SetBytes(parameters[name]) }
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: number("modulus"), E: int(number("exponent").Int64())},
		D:         number("d"), Primes: []*big.Int{number("p"), number("q")},
	}
	key.Precompute()
	if err := key.Validate(); err != nil {
		w.t.Fatal(err)
	}
	decoded.Store(string(parameters["modulus"]), key)
	return key
}

// registeredRunner registers with a token, as config.sh does.
func (w *world) registeredRunner(name string, ephemeral bool, labels ...string) *handRunner {
	w.t.Helper()
	token := w.api(http.StatusCreated, "POST", "/repos/acme/web/actions/runners/registration-token", nil).body["token"].(string)
	remote := "RemoteAuth " + token
	a := w.call(remote, "POST", "/api/v3/actions/runner-registration", map[string]any{"url": w.url + "/acme/web", "runner_event": "register"})
	if a.code != http.StatusOK || a.body["use_v2_flow"] != true {
		w.t.Fatalf("runner-registration: %d %s", a.code, a.text)
	}
	if a := w.call(remote, "GET", "/api/v3/repos/acme/web/actions/runner-groups", nil); a.code != http.StatusOK {
		w.t.Fatalf("runner-groups: %d %s", a.code, a.text)
	}
	key := appKey() // any key will do
	a = w.call(remote, "POST", "/api/v3/actions/runners/register", registerBody(name, key, ephemeral, labels...))
	if a.code != http.StatusOK {
		w.t.Fatalf("register: %d %s", a.code, a.text)
	}
	auth := a.body["authorization"].(map[string]any)
	return &handRunner{
		w: w, key: key, client: auth["client_id"].(string), auth: auth["authorization_url"].(string), broker: auth["server_url"].(string),
	}
}

func registerBody(name string, key *rsa.PrivateKey, ephemeral bool, labels ...string) map[string]any {
	named := []any{}
	for _, l := range labels {
		named = append(named, map[string]any{"Name": l, "Type": "User"})
	}
	return map[string]any{
		"name": name, "group_id": 1, "ephemeral": ephemeral, "labels": named, "version": "2.336.0",
		"public_key": "<RSAKeyValue>" + publicKeyText(key) + "</RSAKeyValue>",
	}
}

// publicKeyText gives a key as it is in .NET's XML.
func publicKeyText(key *rsa.PrivateKey) string {
	text := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("<Modulus>%s</Modulus><Exponent>%s</Exponent>", text(key.N.Bytes()), text(big.NewInt(int64(key.E)).Bytes()))
}

// claims are those of a good client assertion.
func (r *handRunner) claims() jwt.MapClaims {
	now := r.w.clock.Now()
	return jwt.MapClaims{
		"iss": r.client, "sub": r.client, "aud": r.auth, "jti": rand.Text(),
		"nbf": now.Unix(), "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
	}
}

// assert trades an assertion for an access token.
func (r *handRunner) assert(method jwt.SigningMethod, key *rsa.PrivateKey, claims jwt.MapClaims) answer {
	r.w.t.Helper()
	text, err := jwt.NewWithClaims(method, claims).SignedString(key)
	if err != nil {
		r.w.t.Fatal(err)
	}
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_assertion": {text},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	}
	resp, err := client.PostForm(r.auth, form)
	if err != nil {
		r.w.t.Fatal(err)
	}
	defer resp.Body.Close()
	a := answer{code: resp.StatusCode}
	if err := json.NewDecoder(resp.Body).Decode(&a.body); err != nil {
		r.w.t.Fatal(err)
	}
	return a
}

// connect gets an access token and opens a session.
func (r *handRunner) connect() *handRunner {
	r.w.t.Helper()
	a := r.assert(jwt.SigningMethodPS256, r.key, r.claims())
	if a.code != http.StatusOK {
		r.w.t.Fatalf("access token: %d %v", a.code, a.body)
	}
	r.access = a.body["access_token"].(string)
	a = r.openSession()
	if a.code != http.StatusOK {
		r.w.t.Fatalf("session: %d %s", a.code, a.text)
	}
	r.session = a.body["sessionId"].(string)
	return r
}

func (r *handRunner) openSession() answer {
	r.w.t.Helper()
	return r.call("POST", r.broker+"session", map[string]any{"ownerName": "test", "agent": map[string]any{"version": "2.336.0"}})
}

func (r *handRunner) call(method, path string, body any) answer {
	r.w.t.Helper()
	return r.w.call("Bearer "+r.access, method, path, body)
}

func (r *handRunner) poll() answer {
	r.w.t.Helper()
	return r.call("GET", r.broker+"message?sessionId="+r.session+"&status=Online", nil)
}

// refused checks that a is the broker's error of that kind, in the form that runners read.
func (r *handRunner) refused(a answer, code int, kind string) {
	r.w.t.Helper()
	message, _ := a.body["errorMessage"].(string)
	want := map[string]any{"source": "actions-broker-listener", "statusCode": float64(code), "errorKind": kind, "errorMessage": message}
	if diff := cmp.Diff(want, a.body); diff != "" || a.code != code || message == "" {
		r.w.t.Errorf("answer is %d (-want +got):\n%s", a.code, diff)
	}
}

// A jobOffer is the body of a RunnerJobRequest.
type jobOffer struct {
	ID  string `json:"runner_request_id"`
	URL string `json:"run_service_url"`
}

// offered polls until there is a job.
func (r *handRunner) offered() jobOffer {
	r.w.t.Helper()
	for range 20 {
		a := r.poll()
		if a.code == http.StatusAccepted {
			continue
		}
		if a.code != http.StatusOK || a.body["messageType"] != "RunnerJobRequest" {
			r.w.t.Fatalf("message: %d %s", a.code, a.text)
		}
		var offer jobOffer
		if err := json.Unmarshal([]byte(a.body["body"].(string)), &offer); err != nil {
			r.w.t.Fatal(err)
		}
		return offer
	}
	r.w.t.Fatal("no job was offered")
	return jobOffer{}
}

func (r *handRunner) acquire(o jobOffer) answer {
	r.w.t.Helper()
	return r.call("POST", o.URL+"/acquirejob", map[string]any{"jobMessageId": o.ID, "runnerOS": "Linux"})
}

func (r *handRunner) complete(o jobOffer, conclusion string, outputs map[string]string) answer {
	r.w.t.Helper()
	wrapped := map[string]any{}
	for k, v := range outputs {
		wrapped[k] = map[string]any{"value": v}
	}
	return r.call("POST", o.URL+"/completejob", map[string]any{
		"planId": o.ID, "jobId": o.ID, "conclusion": conclusion, "outputs": wrapped,
		"stepResults": []any{map[string]any{
			"external_id": "x", "number": 2, "name": "Run echo", "status": "completed", "conclusion": conclusion,
			"started_at": "2026-01-31T12:00:00Z", "completed_at": "2026-01-31T12:00:01Z",
		}},
	})
}

// run takes one job and ends it.
func (r *handRunner) run(conclusion string, outputs map[string]string) {
	r.w.t.Helper()
	o := r.offered()
	if a := r.acquire(o); a.code != http.StatusOK {
		r.w.t.Fatalf("acquirejob: %d %s", a.code, a.text)
	}
	if a := r.complete(o, conclusion, outputs); a.code != http.StatusNoContent {
		r.w.t.Fatalf("completejob: %d %s", a.code, a.text)
	}
}

// runNext makes a JIT runner for labels that runs one job.
func (w *world) runNext(conclusion string, outputs map[string]string, labels ...string) {
	w.t.Helper()
	w.jitRunner("r-"+strings.ToLower(rand.Text()), labels...).connect().run(conclusion, outputs)
}
