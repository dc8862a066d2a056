package graphqlapi

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	graphql "github.com/graph-gophers/graphql-go"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

type annotateInput struct {
	Append           graphql.NullBool
	Body             *string
	BuildID          graphql.ID
	ClientMutationID *string
	Context          graphql.NullString
	Priority         graphql.NullInt
	Style            choice
}

// BuildAnnotate adds, replaces or extends an annotation of a build.
func (r *root) BuildAnnotate(args struct{ Input annotateInput }) (*buildPayload, error) {
	input := args.Input
	uuid, ok := state.ParseGlobalID("Build", string(input.BuildID))
	if !ok {
		return nil, errors.New("No build found") //nolint:staticcheck // as Buildkite writes it
	}
	added, err := r.store.Annotate(uuid, state.Annotation{
		Body: valueOf(input.Body), Context: valueOf(input.Context.Value),
		Style: strings.ToLower(string(input.Style)), Priority: int(valueOf(input.Priority.Value)),
	}, valueOf(input.Append.Value))
	if err != nil {
		return nil, err
	}
	return &buildPayload{clientMutationID: input.ClientMutationID, build: findBuild(r.store, uuid), annotation: &annotation{added}}, nil
}

type annotation struct{ state.Annotation }

func (a *annotation) ID() graphql.ID       { return globalID("Annotation", a.Annotation.UUID) }
func (a *annotation) UUID() graphql.ID     { return graphql.ID(a.Annotation.UUID) }
func (a *annotation) Context() string      { return a.Annotation.Context }
func (a *annotation) Priority() int32      { return int32(a.Annotation.Priority) }
func (a *annotation) CreatedAt() dateTime  { return dateTime{a.Annotation.CreatedAt} }
func (a *annotation) UpdatedAt() *dateTime { return moment(a.Annotation.UpdatedAt) }
func (a *annotation) Body() *body          { return &body{a.Annotation.Body} }

func (a *annotation) Style() *string {
	style := strings.ToUpper(a.Annotation.Style)
	return &style
}

type body struct{ text string }

func (b *body) Text() string { return b.text }

type annotationsArguments struct {
	pageArguments
	Order choice
	Style *[]string
}

// Annotations lists those of the build and of its jobs.
func (b *build) Annotations(args annotationsArguments) (*connection[*annotation], error) {
	all, err := b.store.Annotations(b.Build.UUID)
	if err != nil {
		return nil, err
	}
	styles := valueOf(args.Style)
	all = slices.DeleteFunc(all, func(a state.Annotation) bool {
		return len(styles) > 0 && !slices.Contains(styles, strings.ToUpper(a.Style))
	})
	// UUIDs begin with the time; the cursor must sort as the list does.
	key := func(a state.Annotation) string { return descending(a.UUID) }
	if args.Order == "PRIORITY_RECENTLY_CREATED" {
		key = func(a state.Annotation) string { return fmt.Sprintf("%03d.%s", 100-a.Priority, descending(a.UUID)) }
	}
	slices.SortFunc(all, func(a, b state.Annotation) int { return cmp.Compare(key(a), key(b)) })
	paged, err := state.Paginate(all, key, args.page())
	return connect(paged, func(a state.Annotation) *annotation { return &annotation{a} }), err
}

// descending turns hexadecimal digits round, so that what is later sorts first.
func descending(text string) string {
	const digits, turned = "0123456789abcdef", "fedcba9876543210"
	return strings.Map(func(r rune) rune {
		if at := strings.IndexRune(digits, r); at >= 0 {
			return rune(turned[at])
		}
		return r
	}, text)
}
