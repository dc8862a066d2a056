package document

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	cases := map[string]struct {
		text string
		want string // as JSON
	}{
		"scalars":     {`[null, ~, true, no, 1, 0x10, 1.5, 1e3, "2", '3', text, 2024-01-02, .inf]`, `[null,null,true,"no",1,16,1.5,1000,"2","3","text","2024-01-02",".inf"]`},
		"large":       {`[18446744073709551615, -9223372036854775808]`, `[18446744073709551615,-9223372036854775808]`},
		"keys":        {`{8080: a, true: b, "c": d}`, `{"8080":"a","c":"d","true":"b"}`},
		"alias":       {"a: &x [1]\nb: *x", `{"a":[1],"b":[1]}`},
		"merge":       {"a: &x {k: 1, l: 2}\nb: {<<: *x, k: 3}", `{"a":{"k":1,"l":2},"b":{"k":3,"l":2}}`},
		"merges":      {"a: &x {k: 1}\nb: &y {k: 2, l: 2}\nc: {<<: [*x, *y]}", `{"a":{"k":1},"b":{"k":2,"l":2},"c":{"k":1,"l":2}}`},
		"JSON":        {`{"a": {"b": []}}`, `{"a":{"b":[]}}`},
		"block texts": {"a: |\n  b\n  c\n", `{"a":"b\nc\n"}`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			nodes, problems := Parse([]byte(tc.text))
			if len(problems) > 0 || len(nodes) != 1 {
				t.Fatalf("%d documents, problems %v", len(nodes), problems)
			}
			if diff := cmp.Diff(tc.want, string(nodes[0].JSON())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFind(t *testing.T) {
	nodes, problems := Parse([]byte("a:\n- b: 1\n  example.com/c: {d: 2}\n"))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	cases := map[string]struct {
		value any
		at    Position
	}{
		"a[0].b":                  {json.Number("1"), Position{2, 3}},
		"a[0][example.com/c].d":   {json.Number("2"), Position{3, 19}},
		".a[0].b":                 {json.Number("1"), Position{2, 3}},
		"a[0].none.deeper":        {nil, Position{2, 3}},
		"a[7]":                    {nil, Position{1, 1}},
		"none":                    {nil, Position{1, 1}},
		"":                        {map[string]any{"a": []any{map[string]any{"b": json.Number("1"), "example.com/c": map[string]any{"d": json.Number("2")}}}}, Position{1, 1}},
		"a[0].b.c":                {nil, Position{2, 3}},
		"a[x]":                    {nil, Position{1, 1}},
		"a[0][example.com/c]":     {map[string]any{"d": json.Number("2")}, Position{3, 3}},
		"a[0][example.com/c].[]d": {nil, Position{3, 3}},
	}
	for path, tc := range cases {
		t.Run(path, func(t *testing.T) {
			node, at := nodes[0].Find(path)
			if diff := cmp.Diff(tc.value, node.Value()); diff != "" {
				t.Error(diff)
			}
			if at != tc.at {
				t.Errorf("at %v, want %v", at, tc.at)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("a: &x [*x]\n<<: {b: 1}\n--- {}\n"))
	f.Add([]byte("? [a]\n: b\n!!binary x: !!float y\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		nodes, problems := Parse(data)
		if len(problems) > 0 && nodes != nil {
			t.Error("nodes in spite of problems")
		}
		for _, node := range nodes {
			if !json.Valid(node.JSON()) {
				t.Errorf("not JSON: %s", node.JSON())
			}
		}
	})
}
