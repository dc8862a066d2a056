package pages

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRead(t *testing.T) {
	const text = "# A page\n\n<!-- run by: TestX in a/b, TestY in c -->\n```sh\nmake it\n\nmake more\n```\n\n" +
		"1. In a list.\n\n   <!-- not run: a reason -->\n   ```console\n   $ agent-stack-k8s\n     indented\n   ```\n\n" +
		"```yaml\na: b\n```\n\n```sh\nunmarked\n```\n\n<!-- not run: is not right before -->\n\n```\n$ prompt\n```\n\n```\nno shell\n```\n"
	got, err := read("docs/page.md", text)
	if err != nil {
		t.Fatal(err)
	}
	want := []Block{
		{Page: "docs/page.md", Line: 4, Text: "make it\n\nmake more\n", Mark: "run by: TestX in a/b, TestY in c"},
		{Page: "docs/page.md", Line: 13, Text: "$ agent-stack-k8s\n  indented\n", Prompts: true, Mark: "not run: a reason"},
		{Page: "docs/page.md", Line: 22, Text: "unmarked\n"},
		{Page: "docs/page.md", Line: 28, Text: "$ prompt\n", Prompts: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for test, is := range map[string]bool{"TestX": true, "TestY": false, "Test": false} {
		if got[0].RunBy(test, "a/b") != is {
			t.Errorf("run by %s in a/b: want %t", test, is)
		}
	}
	if got[1].RunBy("TestX", "a/b") {
		t.Error("what is not run is run by a test")
	}
	if _, err := read("docs/page.md", "```sh\nmake it\n"); err == nil {
		t.Error("a block without an end is no error")
	}
}
