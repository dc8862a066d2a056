package mutator

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

const handMadePage = "../docs/hand-made-pods.md"

// TestHandMadePageNamesTheContract: every label and annotation is on the page.
func TestHandMadePageNamesTheContract(t *testing.T) {
	page := readFile(t, handMadePage)
	file, err := parser.ParseFile(token.NewFileSet(), "contract/contract.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, declaration := range file.Decls {
		group, isGroup := declaration.(*ast.GenDecl)
		if !isGroup || group.Tok != token.CONST {
			continue
		}
		for _, spec := range group.Specs {
			constant, _ := spec.(*ast.ValueSpec)
			for i, name := range constant.Names {
				if !strings.HasSuffix(name.Name, "Label") && !strings.HasSuffix(name.Name, "Annotation") && !strings.HasSuffix(name.Name, "LabelPrefix") {
					continue
				}
				value, err := strconv.Unquote(constant.Values[i].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				found++
				if !strings.Contains(page, "`"+value) {
					t.Errorf("%s does not name %s (%s)", handMadePage, value, name.Name)
				}
			}
		}
	}
	if found < 20 {
		t.Errorf("found %d labels and annotations in the contract", found)
	}
}

// TestHandMadePageNamesTheKnownSidecars holds the page's list against ours.
func TestHandMadePageNamesTheKnownSidecars(t *testing.T) {
	page := readFile(t, handMadePage)
	for _, name := range knownSidecars {
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("%s does not name the known sidecar %s", handMadePage, name)
		}
	}
}

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// TestHandMadePageExamples: its pods and Jobs are what the mutator takes.
func TestHandMadePageExamples(t *testing.T) {
	blocks := yamlBlock.FindAllStringSubmatch(readFile(t, handMadePage), -1)
	if len(blocks) == 0 {
		t.Fatal("no examples")
	}
	for _, block := range blocks {
		var pod corev1.Pod
		var job batchv1.Job
		if strings.Contains(block[1], "kind: Job") {
			if err := yaml.UnmarshalStrict([]byte(block[1]), &job); err != nil {
				t.Fatal(err)
			}
			pod.ObjectMeta, pod.Spec = job.Spec.Template.ObjectMeta, job.Spec.Template.Spec
		} else if err := yaml.UnmarshalStrict([]byte(block[1]), &pod); err != nil {
			t.Fatal(err)
		}
		if _, errs := goldenConfig(t, "testdata/default").Mutate(&pod); len(errs) > 0 {
			t.Errorf("%v in\n%s", errs.ToAggregate(), block[1])
		}
	}
}
