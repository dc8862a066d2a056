package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	"github.com/buildkite/agent-stack-k8s/docs/pages"
	"github.com/buildkite/agent-stack-k8s/mutator/contract"
)

var (
	testIn   = regexp.MustCompile(`\b(Test\w+) in ([\w./-]*\w)`)
	testName = regexp.MustCompile("`(Test[A-Z]\\w*)`")
	testFunc = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
	// link is a link to a file of the repository: its text, its target and what
	// it names in it.
	link    = regexp.MustCompile(`\]\(([^()\s:#]*)(?:#([^()\s]*))?\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	makes   = regexp.MustCompile("(?m)(?:`|^(?:\\S+ )?)make ([a-z-]+)")
)

// testFiles returns the text of the files that define tests, by the test's name
// and the directory.
func testFiles(t *testing.T) map[string]map[string]string {
	t.Helper()
	tests := map[string]map[string]string{}
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := fs.ReadFile(root, path)
		if err != nil {
			return err //nolint:wrapcheck // it names the file
		}
		for _, match := range testFunc.FindAllStringSubmatch(string(text), -1) {
			if tests[match[1]] == nil {
				tests[match[1]] = map[string]string{}
			}
			tests[match[1]][filepath.ToSlash(filepath.Dir(path))] = string(text)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}

// TestShellBlocksAreMarked: each block that a reader may paste into a shell names
// the test that runs it, or says why none does.
func TestShellBlocksAreMarked(t *testing.T) {
	blocks, err := pages.Blocks("..")
	if err != nil {
		t.Fatal(err)
	}
	tests := testFiles(t)
	ran := 0
	for _, block := range blocks {
		named := testIn.FindAllStringSubmatch(block.Mark, -1)
		for _, match := range named {
			if _, exists := tests[match[1]][match[2]]; !exists {
				t.Errorf("%s: there is no %s", block, match[0])
			}
		}
		reason, isNotRun := strings.CutPrefix(block.Mark, "not run: ")
		switch {
		case isNotRun && reason != "":
		case strings.HasPrefix(block.Mark, "run by: ") && len(named) > 0:
			ran++
			for _, match := range named {
				// It has to take the block from the page.
				if text := tests[match[1]][match[2]]; !strings.Contains(text, "pages.Blocks(") && !strings.Contains(text, filepath.Base(block.Page)) {
					t.Errorf("%s: %s does not read the page", block, match[0])
				}
			}
		default:
			t.Errorf("%s: the comment before the block is %q, want `run by: TestX in DIRECTORY` or `not run: REASON`", block, block.Mark)
		}
	}
	t.Logf("%d of %d blocks are run", ran, len(blocks))
	if ran < 5 || len(blocks) < 30 {
		t.Errorf("found %d blocks of which tests run %d", len(blocks), ran)
	}
}

func eachPage(t *testing.T, check func(t *testing.T, name, text string)) {
	t.Helper()
	names, err := pages.List("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(name)))
			if err != nil {
				t.Fatal(err)
			}
			check(t, name, string(text))
		})
	}
}

// TestTestsExist: whoever looks for a test that a page names finds it.
func TestTestsExist(t *testing.T) {
	tests := testFiles(t)
	eachPage(t, func(t *testing.T, _, text string) {
		for _, match := range testName.FindAllStringSubmatch(text, -1) {
			if tests[match[1]] == nil {
				t.Errorf("there is no %s", match[1])
			}
		}
	})
}

// TestMakeTargetsExist: what a page has a reader make is in the Makefile.
func TestMakeTargetsExist(t *testing.T) {
	text, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	eachPage(t, func(t *testing.T, name, page string) {
		if name == "docs/pipelines.md" {
			// Its Makefiles are those of the reader's own repository.
			return
		}
		for _, match := range makes.FindAllStringSubmatch(page, -1) {
			found++
			if !strings.Contains(string(text), "\n"+match[1]+":") && match[1] != "bench-" {
				t.Errorf("the Makefile has no %s", match[1])
			}
		}
	})
	if found < 20 {
		t.Errorf("found %d targets", found)
	}
}

// anchor is how GitHub names a heading.
func anchor(heading string) string {
	var name strings.Builder
	for _, letter := range strings.ToLower(heading) {
		switch {
		case letter == ' ':
			name.WriteRune('-')
		case letter == '-' || letter == '_' || letter >= 'a' && letter <= 'z' || letter >= '0' && letter <= '9':
			name.WriteRune(letter)
		}
	}
	return name.String()
}

// TestLinks: a link to a file, or to a heading in it, leads there.
func TestLinks(t *testing.T) {
	eachPage(t, func(t *testing.T, name, page string) {
		for _, match := range link.FindAllStringSubmatch(page, -1) {
			target := filepath.Join("..", filepath.Dir(filepath.FromSlash(name)), filepath.FromSlash(match[1]))
			if match[1] == "" {
				target = filepath.Join("..", filepath.FromSlash(name))
			}
			if match[2] == "" {
				if _, err := os.Stat(target); err != nil {
					t.Errorf("%s: %v", match[0], err)
				}
				continue
			}
			text, err := os.ReadFile(target)
			if err != nil {
				t.Errorf("%s: %v", match[0], err)
				continue
			}
			exists := false
			for _, one := range heading.FindAllStringSubmatch(string(text), -1) {
				exists = exists || anchor(one[1]) == match[2]
			}
			if !exists {
				t.Errorf("%s: the page has no such heading", match[0])
			}
		}
	})
}

// TestReadmeLinksToAllPages: none is found by accident only.
func TestReadmeLinksToAllPages(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	eachPage(t, func(t *testing.T, name, _ string) {
		if strings.HasPrefix(name, "docs/") && !strings.Contains(string(readme), "]("+name+")") {
			t.Error("README.md has no link to it")
		}
	})
}

// TestNetworkPolicy: the example is what the API server would take.
func TestNetworkPolicy(t *testing.T) {
	page, err := os.ReadFile("security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "## Networks")
	_, rest, _ = strings.Cut(rest, "```yaml\n")
	text, _, _ := strings.Cut(rest, "```")
	var policy networkingv1.NetworkPolicy
	if err := yaml.UnmarshalStrict([]byte(text), &policy); err != nil {
		t.Fatal(err)
	}
	from := policy.Spec.Ingress[0].From
	if policy.Kind != "NetworkPolicy" || len(from) != 2 || from[0].NamespaceSelector.MatchExpressions[0].Key != contract.NamespaceLabel {
		t.Errorf("the policy is %+v", policy)
	}
}
