package worker

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
)

// A Message is the answer to acquirejob: all that there is to do
// (actions/runner, AgentJobRequestMessage.cs).
type Message struct {
	Plan struct {
		PlanID string `json:"planId"`
	} `json:"plan"`
	JobID          string `json:"jobId"`
	JobDisplayName string `json:"jobDisplayName"`
	JobName        string `json:"jobName"`
	Resources      struct {
		Endpoints []Endpoint `json:"endpoints"`
	} `json:"resources"`
	ContextData map[string]contextData `json:"contextData"`
	Variables   map[string]variable    `json:"variables"`
	Mask        []struct {
		Value string `json:"value"`
	} `json:"mask"`
	Steps       []stepMessage `json:"steps"`
	Environment []templ       `json:"environmentVariables"`
	Defaults    []templ       `json:"defaults"`
	Outputs     *templ        `json:"jobOutputs"`
	Container   *templ        `json:"jobContainer"`
	Services    *templ        `json:"jobServiceContainers"`
}

// An Endpoint is a service and the authorization for it.
type Endpoint struct {
	Name          string            `json:"name"`
	URL           string            `json:"url"`
	Data          map[string]string `json:"data"`
	Authorization struct {
		Parameters map[string]string `json:"parameters"`
	} `json:"authorization"`
}

// Token is the access token of the job.
func (e Endpoint) Token() string { return e.Authorization.Parameters["AccessToken"] }

type variable struct {
	Value    string `json:"value"`
	IsSecret bool   `json:"isSecret"`
}

// A stepMessage is one step of a job, or of a composite action.
type stepMessage struct {
	ID              string    `json:"id"`
	ContextName     string    `json:"contextName"`
	Condition       string    `json:"condition"`
	Reference       reference `json:"reference"`
	DisplayName     *templ    `json:"displayNameToken"`
	Inputs          *templ    `json:"inputs"`
	Environment     *templ    `json:"environment"`
	ContinueOnError *templ    `json:"continueOnError"`
	TimeoutMinutes  *templ    `json:"timeoutInMinutes"`
}

// Check returns what the message lacks of what a runner cannot do without.
func (m *Message) Check() error {
	for name, value := range map[string]string{"plan.planId": m.Plan.PlanID, "jobId": m.JobID, "jobDisplayName": m.JobDisplayName} {
		if value == "" {
			return missing(name)
		}
	}
	system, err := m.System()
	switch {
	case err != nil:
		return err
	case system.URL == "":
		return missing("url of SystemVssConnection")
	case system.Token() == "":
		return missing("AccessToken of SystemVssConnection")
	}
	return nil
}

func missing(name string) error {
	return wire.Said("Value cannot be null. (Parameter '%s')", name)
}

// System is the endpoint of the run service for this job.
func (m *Message) System() (Endpoint, error) {
	for _, e := range m.Resources.Endpoints {
		if strings.EqualFold(e.Name, "SystemVssConnection") {
			return e, nil
		}
	}
	return Endpoint{}, missing("SystemVssConnection")
}

// flag reports whether the variable name says true.
func (m *Message) flag(name string) bool { return strings.EqualFold(m.Variables[name].Value, "true") }

// contextData is a value of a context in GitHub's compact form: a plain JSON
// string, number, bool or null, or an object whose t says what it holds: 0 string
// s, 1 array a, 2 and 5 dictionary d of k and v, 3 bool b, 4 number n
// (actions/runner, PipelineContextDataJsonConverter.cs).
type contextData struct{ value any }

func (c *contextData) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '{' {
		return json.Unmarshal(b, &c.value)
	}
	var form struct {
		T int
		S string
		A []contextData
		D []struct {
			K string
			V contextData
		}
		B bool
		N float64
	}
	if err := json.Unmarshal(b, &form); err != nil {
		return err
	}
	switch form.T {
	case 0:
		c.value = form.S
	case 1:
		list := make([]any, len(form.A))
		for i, item := range form.A {
			list[i] = item.value
		}
		c.value = list
	case 2, 5:
		object := map[string]any{}
		for _, pair := range form.D {
			object[pair.K] = pair.V.value
		}
		c.value = object
	case 3:
		c.value = form.B
	case 4:
		c.value = form.N
	default:
		return fmt.Errorf("context data of type %d: want 0 to 5", form.T)
	}
	return nil
}

// A templ is a value of a workflow file before its expressions are evaluated: a
// plain JSON value, or an object whose type says what it holds: 0 literal lit,
// 1 sequence seq, 2 mapping map of key and value, 3 expression expr, 5 bool,
// 6 number num, 7 null (actions/runner, TemplateTokenJsonConverter.cs).
type templ struct {
	Type int
	Lit  string
	Seq  []templ
	Map  []templPair
	Expr string
	Bool bool
	Num  float64
}

type templPair struct{ Key, Value templ }

// The types of templates that are made here (TokenType.cs).
const (
	sequenceToken = 1
	mappingToken  = 2
	exprToken     = 3
	boolToken     = 5
	nullToken     = 7
)

func (t *templ) UnmarshalJSON(b []byte) error {
	type object templ
	if len(b) > 0 && b[0] == '{' {
		return json.Unmarshal(b, (*object)(t))
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	switch v := v.(type) {
	case string:
		*t = templ{Type: 0, Lit: v}
	case bool:
		*t = templ{Type: 5, Bool: v}
	case float64:
		*t = templ{Type: 6, Num: v}
	case nil:
		*t = templ{Type: 7}
	default:
		return fmt.Errorf("template %.50s: want a value or an object with a type", b)
	}
	return nil
}

// eval returns the value of t; that of a nil templ is nil.
func (t *templ) eval(scope expr.Scope) (any, error) {
	if t == nil {
		return nil, nil
	}
	switch t.Type {
	case 0:
		return t.Lit, nil
	case 1:
		list := make([]any, len(t.Seq))
		for i := range t.Seq {
			v, err := t.Seq[i].eval(scope)
			if err != nil {
				return nil, err
			}
			list[i] = v
		}
		return list, nil
	case 2:
		return t.object(scope)
	case 3:
		return scope.Eval(t.Expr)
	case 5:
		return t.Bool, nil
	case 6:
		return t.Num, nil
	case 7:
		return nil, nil
	}
	return nil, fmt.Errorf("template of type %d: want 0 to 7, without 4", t.Type)
}

func (t *templ) object(scope expr.Scope) (any, error) {
	object := map[string]any{}
	for i := range t.Map {
		key, err := t.Map[i].Key.eval(scope)
		if err != nil {
			return nil, err
		}
		if object[expr.Text(key)], err = t.Map[i].Value.eval(scope); err != nil {
			return nil, err
		}
	}
	return object, nil
}

// texts evaluates a mapping of texts, such as an environment.
func (t *templ) texts(scope expr.Scope) (map[string]string, error) {
	v, err := t.eval(scope)
	if err != nil || v == nil {
		return nil, err
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("template of a %T: want a mapping", v)
	}
	texts := map[string]string{}
	for k, v := range object {
		texts[k] = expr.Text(v)
	}
	return texts, nil
}

// text evaluates to a text.
func (t *templ) text(scope expr.Scope) (string, error) {
	v, err := t.eval(scope)
	return expr.Text(v), err
}
