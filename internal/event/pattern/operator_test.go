package pattern

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestOperators has, for each operator, what must match and what must not.
func TestOperators(t *testing.T) {
	type lists struct {
		list    string   // of the field f
		match   []string // values of f; "" for an event without it
		nothing []string
	}
	tests := []lists{
		{`["queued"]`, []string{`"queued"`, `"queue\u0064"`, `["a","queued"]`, `[["queued"]]`}, []string{`"Queued"`, `"queued "`, `null`, `[]`, `{"f":"queued"}`, ``}},
		{`["a","b"]`, []string{`"a"`, `"b"`, `["c","b"]`}, []string{`"c"`, `"ab"`}},
		{`["\u00fc\n\"\\\/"]`, []string{`"ü\n\"\\/"`, `"\u00FC\u000a\u0022\u005c\u002F"`}, []string{`"u"`}},
		{`["😀"]`, []string{`"😀"`, `"\ud83d\ude00"`}, []string{`"\ud83d"`, `"\ude00\ud83d"`}},
		{`[""]`, []string{`""`}, []string{`" "`, `null`}},
		{`[5]`, []string{`5`, `5.0`, `5e0`, `50e-1`, `0.5E+1`, `[4,5]`}, []string{`"5"`, `5.000001`, `-5`, `55`, `true`}},
		{`[300.0]`, []string{`300`, `3e2`, `300.000000`}, []string{`301`, `30`, `3000`}},
		{`[-0.000001]`, []string{`-1e-6`, `-0.0000010`}, []string{`0`, `0.000001`, `-0.00000100001`}},
		{`[0]`, []string{`0`, `-0`, `0.0`, `0e10`}, []string{`null`, `false`, `""`}},
		{`[12345678901]`, []string{`12345678901`}, []string{`12345678901.0`, `1.2345678901e10`, `12345678902`}},
		{`[1.1234567]`, []string{`1.1234567`}, []string{`1.12345670`, `1.123456`}},
		{`[true]`, []string{`true`}, []string{`false`, `"true"`, `1`}},
		{`[null]`, []string{`null`, `[null]`}, []string{`"null"`, `false`, `[]`, ``, `0`}},
		{`[{"exactly":"a"}]`, []string{`"a"`}, []string{`"b"`, `"aa"`}},
		{`[{"prefix":"re"}]`, []string{`"re"`, `"refs"`, `["x","refs"]`}, []string{`"r"`, `"Refs"`, `null`, ``}},
		{`[{"prefix":""}]`, []string{`""`, `"a"`}, []string{`1`, `true`, `null`, ``}},
		{`[{"prefix":{"equals-ignore-case":"Re"}}]`, []string{`"re"`, `"REFS"`}, []string{`"r"`, `"are"`}},
		{`[{"suffix":".png"}]`, []string{`".png"`, `"a.png"`}, []string{`"a.PNG"`, `"png"`, `5`}},
		{`[{"suffix":{"equals-ignore-case":".png"}}]`, []string{`"a.PNG"`, `".pNg"`}, []string{`"a.png "`, `"ng"`}},
		{`[{"equals-ignore-case":"Grüße"}]`, []string{`"grüße"`, `"GRÜSSE"`, `"GRÜßE"`}, []string{`"grusse"`, `"grüsse"`, `"grüße "`, `""`}},
		{`[{"equals-ignore-case":""}]`, []string{`""`}, []string{`"a"`, `null`}},
		{`[{"wildcard":"*"}]`, []string{`""`, `"a"`}, []string{`1`, `null`, ``}},
		{`[{"wildcard":"a*c"}]`, []string{`"ac"`, `"abc"`, `"a*c"`, `"acac"`}, []string{`"a"`, `"c"`, `"abcd"`, `"xac"`}},
		{`[{"wildcard":"*a*a*"}]`, []string{`"aa"`, `"xaxax"`}, []string{`"a"`, `""`}},
		{`[{"wildcard":"aba*aba"}]`, []string{`"abaaba"`, `"abaXaba"`}, []string{`"aba"`, `"ababa"`}},
		{`[{"wildcard":"a\\*b\\\\"}]`, []string{`"a*b\\"`}, []string{`"axb\\"`, `"a*b"`}},
		{`[{"anything-but":"a"}]`, []string{`"b"`, `""`, `1`, `true`, `null`, `["a","b"]`}, []string{`"a"`, `["a"]`, `[]`, `{}`, ``}},
		{`[{"anything-but":["a","b"]}]`, []string{`"c"`, `1`}, []string{`"a"`, `"b"`, `["a","b"]`}},
		{`[{"anything-but":5}]`, []string{`4`, `"5"`, `null`, `12345678901`}, []string{`5`, `5.0`, `50e-1`}},
		{`[{"anything-but":[5,6]}]`, []string{`7`, `[5,7]`}, []string{`5`, `6.0`}},
		{`[{"anything-but":{"prefix":"a"}}]`, []string{`"b"`, `""`, `1`}, []string{`"a"`, `"ab"`, ``}},
		{`[{"anything-but":{"prefix":["a","b"]}}]`, []string{`"c"`}, []string{`"ab"`, `"ba"`}},
		{`[{"anything-but":{"suffix":"a"}}]`, []string{`"b"`, `"ab"`, `null`}, []string{`"a"`, `"ba"`}},
		{`[{"anything-but":{"suffix":["a","b"]}}]`, []string{`"ac"`}, []string{`"ca"`, `"cb"`}},
		{`[{"anything-but":{"equals-ignore-case":"a"}}]`, []string{`"b"`, `1`}, []string{`"a"`, `"A"`}},
		{`[{"anything-but":{"equals-ignore-case":["a","b"]}}]`, []string{`"c"`}, []string{`"A"`, `"B"`}},
		{`[{"anything-but":{"wildcard":"*/lib/*"}}]`, []string{`"a/b"`, `1`}, []string{`"a/lib/b"`, `"/lib/"`}},
		{`[{"anything-but":{"wildcard":["a*","*b"]}}]`, []string{`"c"`}, []string{`"ac"`, `"cb"`}},
		{`[{"numeric":["=",3]}]`, []string{`3`, `3.0`, `30e-1`}, []string{`"3"`, `2.999999`, `null`, ``}},
		{`[{"numeric":[">",0,"<=",5]}]`, []string{`0.000001`, `5`, `5.0`}, []string{`0`, `5.000001`, `-1`}},
		{`[{"numeric":[">=",0,"<",5]}]`, []string{`0`, `-0`, `4.999999`}, []string{`5`, `-0.000001`}},
		{`[{"numeric":["<",0]}]`, []string{`-0.000001`, `-5000000000`}, []string{`0`, `-5000000001`}},
		{`[{"numeric":["<=",0]}]`, []string{`0`, `-1`}, []string{`0.000001`}},
		{`[{"numeric":[">",0]}]`, []string{`1`, `5000000000`, `5e9`}, []string{`0`, `5000000000.000001`, `1e400`}},
		{`[{"numeric":[">=",-1.5]}]`, []string{`-1.5`, `0`}, []string{`-1.500001`}},
		{`[{"exists":true}]`, []string{`""`, `null`, `false`, `0`, `[1]`, `[{},1]`}, []string{``, `[]`, `{}`, `{"x":1}`, `[{"x":1}]`}},
		{`[{"exists":false}]`, []string{``, `[]`, `{}`, `{"x":1}`}, []string{`""`, `null`, `[1]`}},
		{`[{"exists":false},"a"]`, []string{``, `"a"`}, []string{`"b"`, `null`}},
		{`[{"cidr":"10.0.0.0/24"}]`, []string{`"10.0.0.0"`, `"10.0.0.255"`, `"010.0.0.1"`, `"::ffff:a00:1"`, `["x","10.0.0.7"]`}, []string{`"10.0.1.0"`, `"10.0.0"`, `"10.0.0.256"`, `"::1"`, `""`, `1`}},
		{`[{"cidr":"10.0.0.77/24"}]`, []string{`"10.0.0.1"`}, []string{`"10.0.1.1"`}},
		{`[{"cidr":"0.0.0.0/0"}]`, []string{`"255.255.255.255"`}, []string{`"::"`}},
		{`[{"cidr":"2001:db8::/32"}]`, []string{`"2001:db8::1"`, `"2001:0DB8:ffff::"`}, []string{`"2001:db9::"`, `"32.1.13.184"`, `"2001:db8::1%eth0"`}},
		{`["10.0.0.5"]`, []string{`"10.0.0.5"`, `"10.0.0.05"`}, []string{`"10.0.0.50"`, `"x"`}},
		{`["2001:db8::1"]`, []string{`"2001:db8:0::0001"`}, []string{`"2001:db8::2"`}},
		// What a list that asks for addresses does to the rest of it.
		{`[{"cidr":"10.0.0.0/24"},{"prefix":"10."}]`, []string{`"10.0.0.1"`, `"10.x"`}, []string{`"10.1.1.1"`}},
		{`[{"cidr":"10.0.0.0/24"},{"anything-but":"10.1.1.1"}]`, []string{`"10.1.1.1"`, `"x"`}, []string{``}},
		{`[{"cidr":"10.0.0.0/24"},{"exactly":"10.1.1.1"}]`, []string{`"10.0.0.1"`}, []string{`"10.1.1.1"`}},
		{`[{"cidr":"10.0.0.0/24"},5]`, []string{`5`}, []string{`"10.0.0.1"`}},
		{`["10.0.0.1",{"numeric":["=",5]}]`, []string{`5`}, []string{`"10.0.0.1"`}},
	}
	for _, form := range forms() {
		if !slices.ContainsFunc(tests, func(test lists) bool {
			return strings.HasPrefix(test.list, "[{"+form) && len(test.match) > 0 && len(test.nothing) > 0
		}) {
			t.Errorf("%s: want what must match and what must not", form)
		}
	}
	for _, test := range tests {
		p, err := Parse([]byte(`{"f":` + test.list + `}`))
		if err != nil {
			t.Errorf("%s: %v", test.list, err)
			continue
		}
		check := func(value string, want bool) {
			event := fmt.Sprintf(`{"e":[1,{}],"f":%s,"g":"x"}`, value)
			if value == "" {
				event = `{"e":[1,{}],"g":"x"}`
			}
			if got := p.Matches([]byte(event)); got != want {
				t.Errorf("%s on %s: got %v, want %v", test.list, event, got, want)
			}
		}
		for _, value := range test.match {
			check(value, true)
		}
		for _, value := range test.nothing {
			check(value, false)
		}
	}
}

// forms are how match expressions begin: every operator, with every kind of operand it has.
func forms() []string {
	list := []string{
		`"prefix":"`, `"prefix":{"equals-ignore-case"`, `"suffix":"`, `"suffix":{"equals-ignore-case"`, `"anything-but":"`, `"anything-but":["`,
		`"anything-but":5`, `"anything-but":[5`, `"exists":true`, `"exists":false`, `"cidr":"10.`, `"cidr":"2001:`,
	}
	for _, inner := range []string{"prefix", "suffix", "equals-ignore-case", "wildcard"} {
		list = append(list, `"anything-but":{"`+inner+`":"`, `"anything-but":{"`+inner+`":[`)
	}
	for _, comparison := range []string{"=", "<", "<=", ">", ">="} {
		list = append(list, `"numeric":["`+comparison+`"`)
	}
	for _, operator := range operators() {
		list = append(list, `"`+operator+`"`)
	}
	return list
}

func TestFields(t *testing.T) {
	tests := []struct {
		pattern        string
		match, nothing []string
	}{
		{`{"a":["x"],"b":{"c":["y"]}}`,
			[]string{`{"b":{"d":1,"c":"y"},"a":"x"}`, ` { "a" : [ "x" ] , "b" : [ { "c" : "y" } ] } `},
			[]string{`{"a":"x"}`, `{"a":"x","b":{"c":"z"}}`, `{"a":"x","c":"y"}`, `{"a":"x","b":"y"}`, `[]`, `"a"`, ``}},
		// A dot in a name is a step.
		{`{"a.b":["x"]}`, []string{`{"a":{"b":"x"}}`, `{"a.b":"x"}`}, []string{`{"a":"x"}`, `{"b":"x"}`}},
		{`{"a":{"b.c":["x"]}}`, []string{`{"a.b":{"c":"x"}}`, `{"a":{"b":{"c":"x"}}}`}, []string{`{"a":{"c":"x"}}`}},
		{`{"a\u0062":["x"]}`, []string{`{"ab":"x"}`, `{"\u0061b":"x"}`}, []string{`{"a":"x"}`}},
		// A name twice in an event counts twice; twice in a pattern, the later.
		{`{"a":["x"]}`, []string{`{"a":"x","a":"y"}`, `{"a":"y","a":"x"}`}, []string{`{"a":"y","a":"z"}`}},
		{`{"a":["x"],"a":["y"]}`, []string{`{"a":"y"}`}, []string{`{"a":"x"}`}},

		{`{"$or":[{"a":["x"]},{"b":["y"]}]}`, []string{`{"a":"x"}`, `{"b":"y"}`, `{"a":"z","b":"y"}`}, []string{`{"a":"y"}`, `{}`}},
		{`{"s":["k"],"$or":[{"a":["x"]},{"b":["y"],"c":["z"]}]}`, []string{`{"s":"k","a":"x"}`, `{"s":"k","b":"y","c":"z"}`}, []string{`{"a":"x"}`, `{"s":"k","b":"y"}`, `{"s":"k"}`}},
		{`{"$or":[{"a":["x"]},{"b":["y"]}],"d":{"$or":[{"e":[1]},{"f":[2]}]}}`, []string{`{"a":"x","d":{"f":2}}`, `{"b":"y","d":{"e":1}}`}, []string{`{"a":"x"}`, `{"d":{"e":1}}`, `{"a":"x","e":1}`}},
		{`{"$or":[{"a":["x"]},{"b":["y"],"$or":[{"c":[1]},{"d":[2]}]}]}`, []string{`{"a":"x"}`, `{"b":"y","d":2}`}, []string{`{"b":"y"}`, `{"c":1}`}},
		// An alternative replaces what was asked of the same field before it.
		{`{"a":["x"],"$or":[{"a":["y"]},{"b":["z"]}]}`, []string{`{"a":"y"}`, `{"a":"x","b":"z"}`}, []string{`{"a":"x"}`}},
		{`{"$or":[{"a":["y"]},{"b":["z"]}],"a":["x"]}`, []string{`{"a":"x"}`}, []string{`{"a":"y"}`}},
		// Where $or cannot have its meaning it is a name.
		{`{"$or":[{"prefix":"x"},{"suffix":"y"}]}`, []string{`{"$or":"xa"}`, `{"$or":["b","ay"]}`}, []string{`{"$or":"a"}`}},
		{`{"$or":{"a":["x"]}}`, []string{`{"$or":{"a":"x"}}`}, []string{`{"a":"x"}`}},
		{`{"$or":["x"]}`, []string{`{"$or":"x"}`}, []string{`{"x":"x"}`}},

		// Fields of one array must be in one element.
		{`{"a":{"k":["x"],"v":[1]}}`,
			[]string{`{"a":[{"k":"x","v":1}]}`, `{"a":[{"k":"y"},{"k":"x","v":[0,1]}]}`, `{"a":{"k":["x"],"v":[2,1]}}`, `{"a":[[{"k":"x","v":1}]]}`,
				`{"a":[{"v":1},{"k":"x","v":1},{"v":1}]}`, `{"a":[{"k":"x"},{"v":1},{"v":1,"k":"x"}]}`},
			[]string{`{"a":[{"k":"x","v":2},{"k":"y","v":1}]}`, `{"a":[{"k":"x"},{"v":1}]}`, `{"a":[[{"k":"x"},{"v":1}]]}`, `{"a":[[{"k":"x"}],[{"v":1}]]}`}},
		{`{"a":{"k":["x"]},"b":{"v":[1]}}`, []string{`{"a":[{},{"k":"x"}],"b":[{"v":1}]}`}, []string{`{"a":[{"v":1}],"b":[{"k":"x"}]}`}},
		{`{"a":{"i":{"q":[1],"r":[2]},"k":["x"]}}`,
			[]string{`{"a":[{"k":"x","i":[{"q":1,"r":3},{"q":1,"r":2}]}]}`},
			[]string{`{"a":[{"k":"x","i":[{"q":1},{"r":2}]}]}`, `{"a":[{"k":"x"},{"i":{"q":1,"r":2}}]}`}},
		{`{"a":{"k":["x"]},"b":["y"]}`, []string{`{"a":[{"k":"x"},{"k":"z"}],"b":"y"}`, `{"b":[{},"y"],"a":[{"k":"z"},{"k":"x"}]}`}, []string{`{"a":[{"k":"z"},{"b":"y"}],"b":"z"}`}},
		// A field is absent if it is not beside what was matched before it.
		{`{"a":{"k":["x"],"v":[{"exists":false}]}}`, []string{`{"a":[{"k":"x"},{"k":"y","v":1}]}`, `{"a":{"k":"x"}}`}, []string{`{"a":[{"k":"x","v":1},{"k":"y"}]}`}},
		{`{"a":{"k":[{"exists":false}],"v":[1]}}`, []string{`{"a":[{"v":1}]}`}, []string{`{"a":[{"v":1},{"k":"x"}]}`}},
		{`{"a":[{"exists":false}],"b":[{"exists":false}]}`, []string{`{}`, `{"c":1}`}, []string{`{"a":1}`, `{"b":null}`}},

		// What is not JSON matches nothing, wherever it is wrong.
		{`{"a":[{"exists":true}]}`,
			[]string{`{"a":1}`, "{\"z\":\"\u007f\",\"a\":1}"},
			[]string{`{"a":1`, `{"a":1}}`, `{"a":1} x`, `{"a":1,}`, `{"a":01}`, `{"a":1.}`, `{"a":-}`, `{"a":1e}`, `{"a":tru}`, `{"a":1,"b":nul}`,
				`{"a":1,"b":"\x"}`, `{"a":1,"b":"\u12g4"}`, "{\"a\":1,\"b\":\"\t\"}", "{\"a\":1,\"b\":\"a long text \x1f with a control character\"}", `{"a":1,"b":"`, `{"a":1,"b":[1,]}`, `{"a":1,"b":[1 2]}`, `{"a":1,"b":{"c"}}`, `{"a":1,b:2}`, `{"a":1 "b":2}`, "{\"a\":1}\x00"}},
	}
	for _, test := range tests {
		p, err := Parse([]byte(test.pattern))
		if err != nil {
			t.Errorf("%s: %v", test.pattern, err)
			continue
		}
		for _, event := range test.match {
			if !p.Matches([]byte(event)) {
				t.Errorf("%s does not match %s", test.pattern, event)
			}
		}
		for _, event := range test.nothing {
			if p.Matches([]byte(event)) {
				t.Errorf("%s matches %s", test.pattern, event)
			}
		}
	}
}
