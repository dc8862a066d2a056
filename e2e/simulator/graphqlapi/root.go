package graphqlapi

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	graphql "github.com/graph-gophers/graphql-go"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

// root resolves Query and Mutation.
type root struct{ store *state.Store }

type slugOrUUID struct{ Slug, UUID *graphql.ID }

// Organization returns null for one that is not ours, as Buildkite does for one
// that the token may not see.
func (r *root) Organization(args slugOrUUID) *organization {
	ours := r.store.Organization()
	if args.Slug != nil && string(*args.Slug) != ours.Slug || args.UUID != nil && string(*args.UUID) != ours.UUID ||
		args.Slug == nil && args.UUID == nil {
		return nil
	}
	return &organization{Organization: ours, store: r.store}
}

// Job returns null for one that does not exist.
func (r *root) Job(args struct{ UUID graphql.ID }) *job {
	found, ok := r.store.Job(string(args.UUID))
	if !ok {
		return nil
	}
	return &job{Job: found, store: r.store}
}

// Build finds by UUID or by organization/pipeline/number.
func (r *root) Build(args slugOrUUID) *build {
	if args.UUID != nil {
		return findBuild(r.store, string(*args.UUID))
	}
	if args.Slug == nil {
		return nil
	}
	parts := strings.Split(string(*args.Slug), "/")
	if len(parts) != 3 || parts[0] != r.store.Organization().Slug {
		return nil
	}
	number, err := strconv.Atoi(parts[2])
	if err != nil {
		return nil
	}
	found, ok := r.store.BuildByNumber(parts[1], number)
	if !ok {
		return nil
	}
	return &build{Build: found, store: r.store}
}

type userKey struct{}

// withUser says whose token a request bears.
func withUser(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, userKey{}, name)
}

// Viewer is the owner of the token.
func (r *root) Viewer(ctx context.Context) *viewer {
	name, _ := ctx.Value(userKey{}).(string)
	return &viewer{user{name: strings.TrimPrefix(name, "user-")}}
}

type viewer struct{ user user }

func (v *viewer) ID() graphql.ID { return globalID("Viewer", v.user.UUID()) }
func (v *viewer) User() *user    { return &v.user }

// user is a person with a number.
type user struct{ name string }

func (u *user) ID() graphql.ID { return globalID("User", u.UUID()) }
func (u *user) UUID() string   { return fmt.Sprintf("00000000-0000-4000-8000-%012s", u.name) }
func (u *user) Name() string   { return "Simulated Person " + u.name }
func (u *user) Email() string  { return "person" + u.name + "@example.com" }
