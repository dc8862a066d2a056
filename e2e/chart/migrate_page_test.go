package chart

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/cli/values"
	"helm.sh/helm/v3/pkg/getter"
)

const migrationPage = "../../docs/migrate.md"

// helmCommands are the commands of a page that render the chart, as words.
var helmCommands = regexp.MustCompile(`(?m)^helm (template|upgrade) (.*)$`)

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
	words := strings.Fields(command)[2:]
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		switch word {
		case "--install", "--create-namespace":
			continue
		case "--namespace", "--values", "--set":
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
	if want := []string{"agent-stack-k8s", "oci://ghcr.io/buildkite/helm/agent-stack-k8s"}; !slices.Equal(positional, want) {
		t.Errorf("%s: what is not an option is %q, want %q", command, positional, want)
	}
	merged, err := given.MergeValues(getter.Providers{})
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	result.Values = merged
	return result
}

// TestMigrationPage renders the chart with each command of helm on the page, and
// the files of values that the page shows.
func TestMigrationPage(t *testing.T) {
	data, err := os.ReadFile(migrationPage)
	if err != nil {
		t.Fatal(err)
	}
	page := strings.ReplaceAll(string(data), "\\\n", "")
	files := t.TempDir()
	for _, name := range []string{"values.yaml", "beside.yaml"} {
		_, rest, found := strings.Cut(string(data), "```yaml\n# "+name+"\n")
		text, _, _ := strings.Cut(rest, "```")
		if !found {
			t.Fatalf("the page shows no %s", name)
		}
		if err := os.WriteFile(filepath.Join(files, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var tags []string
	names := map[string]bool{}
	for _, command := range helmCommands.FindAllString(page, -1) {
		options := commandOptions(t, command, files)
		rendered, err := Render(directory, options)
		if err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		got := read(t, rendered)
		tags = append(tags, got.dispatcher["tags"].([]any)[0].(string))
		if got.dispatcher["controller-id"] != "buildkite-next.agent-stack-k8s" || at(got.mutator, "agent.noPTY") != true {
			t.Errorf("%s: %v\n%v", command, got.dispatcher, got.mutator)
		}
		if !strings.Contains(got.notes, "config.work-queue-limit has no effect") {
			t.Errorf("%s: the notes do not warn:\n%s", command, got.notes)
		}
		for _, one := range got.objects {
			names[strings.ToLower(one.GetKind())+" "+one.GetName()] = true
		}
	}
	if diff := cmp.Diff([]string{"queue=kubernetes-next", "queue=kubernetes-next", "queue=kubernetes"}, tags); diff != "" {
		t.Errorf("the commands serve the queues (-want +got):\n%s", diff)
	}
	mentioned := regexp.MustCompile(`kubectl -n buildkite-next (?:scale|get) (\S+ \S+)`).FindAllStringSubmatch(page, -1)
	if len(mentioned) == 0 {
		t.Error("the page names no object")
	}
	for _, match := range mentioned {
		if !names[match[1]] {
			t.Errorf("the chart makes no %s", match[1])
		}
	}
}
