package chart

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/cli/values"
	"helm.sh/helm/v3/pkg/getter"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/buildkite/agent-stack-k8s/docs/pages"
)

const published = "oci://ghcr.io/buildkite/helm/agent-stack-k8s"

var (
	// helmCommands are the commands of a page that render the chart, as words.
	helmCommands = regexp.MustCompile(`(?m)^helm (template|upgrade) (.*)$`)
	// placeholders are what a reader replaces.
	placeholders = regexp.MustCompile(`<[^<>]*>`)
	yamlBlocks   = regexp.MustCompile("(?s)```yaml\n(.*?)```")
	// shown are files of values that a page shows, by the comment that begins them.
	shown = regexp.MustCompile("(?ms)^```yaml\n# (\\S+\\.yaml)\n(.*?)^```")
)

// shownFiles writes the files that a page shows into a directory.
func shownFiles(t *testing.T, page string) string {
	t.Helper()
	files := t.TempDir()
	for _, match := range shown.FindAllStringSubmatch(page, -1) {
		if err := os.WriteFile(filepath.Join(files, match[1]), []byte(match[2]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// commandOptions reads a helm command: what it renders for, and with what
// values. Files of values are in the directory.
func commandOptions(t *testing.T, command, directory string) Options {
	t.Helper()
	result := Options{APIVersions: certManager}
	if strings.HasPrefix(command, "helm template") {
		// It asks no cluster.
		result.APIVersions = nil
	}
	var given values.Options
	var positional []string
	filled := placeholders.ReplaceAllStringFunc(command, func(text string) string {
		if strings.HasSuffix(text, "UUID>") {
			return "00000000-0000-0000-0000-000000000000"
		}
		return "placeholder"
	})
	words := strings.Fields(filled)[2:]
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		switch word {
		case "--install", "--create-namespace", "--wait":
			continue
		case "--namespace", "--values", "--set", "--version":
		default:
			positional = append(positional, word)
			continue
		}
		argument := strings.Trim(words[0], "'")
		words = words[1:]
		switch word {
		case "--namespace":
			result.Namespace = argument
		case "--values":
			given.ValueFiles = append(given.ValueFiles, filepath.Join(directory, argument))
		case "--set":
			given.Values = append(given.Values, argument)
		}
	}
	if len(positional) != 2 || positional[1] != published {
		t.Fatalf("%s: what is not an option is %q, want a release and %s", command, positional, published)
	}
	result.Release = positional[0]
	merged, err := given.MergeValues(getter.Providers{})
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	result.Values = merged
	return result
}

// TestHelmCommands renders this checkout's chart with the options of each command
// of helm in the pages, and the files of values that the same page shows. Nothing
// is installed.
func TestHelmCommands(t *testing.T) {
	blocks, err := pages.Blocks("../..")
	if err != nil {
		t.Fatal(err)
	}
	rendered := 0
	for _, block := range blocks {
		for _, command := range helmCommands.FindAllString(strings.ReplaceAll(block.Text, "\\\n", ""), -1) {
			rendered++
			t.Run(block.String(), func(t *testing.T) {
				page, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(block.Page)))
				if err != nil {
					t.Fatal(err)
				}
				options := commandOptions(t, command, shownFiles(t, string(page)))
				result, err := Render(directory, options)
				if err != nil {
					t.Fatalf("%s: %v", command, err)
				}
				if got := read(t, result); got.dispatcher["org"] == nil || !strings.Contains(got.notes, options.Namespace) {
					t.Errorf("%s: the dispatcher has %v, and the notes are\n%s", command, got.dispatcher, got.notes)
				}
			})
		}
	}
	if rendered < 5 {
		t.Errorf("%d commands found", rendered)
	}
}

// TestShownValues: the chart takes the values that the pages show, each with the
// tokens and the organization of a reader.
func TestShownValues(t *testing.T) {
	for _, name := range []string{"install.md", "building-images.md"} {
		t.Run(name, func(t *testing.T) {
			page, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
			if err != nil {
				t.Fatal(err)
			}
			blocks := yamlBlocks.FindAllStringSubmatch(string(page), -1)
			if len(blocks) == 0 {
				t.Error("the page shows no values")
			}
			for _, block := range blocks {
				values := chartutil.CoalesceTables(settings(t, block[1]), settings(t, required))
				if _, err := Render(directory, Options{Values: values, APIVersions: certManager}); err != nil {
					t.Errorf("%v in\n%s", err, block[1])
				}
			}
		})
	}
}

// TestNamesInCommands: what the pages have kubectl look at by the names of the
// chart is there.
func TestNamesInCommands(t *testing.T) {
	blocks, err := pages.Blocks("../..")
	if err != nil {
		t.Fatal(err)
	}
	rendered, err := Render(directory, Options{Values: settings(t, required), APIVersions: certManager})
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, one := range read(t, rendered).objects {
		names[one.GetName()] = true
		// What cert-manager makes.
		names[stringAt(one, "spec", "secretName")] = true
	}
	found := 0
	for _, block := range blocks {
		for _, match := range chartNames.FindAllStringSubmatch(block.Text, -1) {
			found++
			if !names[match[1]] {
				t.Errorf("%s: the chart makes no %s", block, match[1])
			}
		}
	}
	if found < 5 {
		t.Errorf("%d names found", found)
	}
}

// chartNames are names of objects in commands, for a release agent-stack-k8s.
var chartNames = regexp.MustCompile(`(?m)^(?:kubectl|cmctl) .*\b(agent-stack-k8s-[a-z-]+)`)

func stringAt(one object, fields ...string) string {
	text, _, _ := unstructured.NestedString(one.Object, fields...)
	return text
}
