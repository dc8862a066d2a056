package graphqlapi

import (
	"encoding/json"
	"fmt"
	"time"

	graphql "github.com/graph-gophers/graphql-go"

	"github.com/buildkite/agent-stack-k8s/e2e/simulator/state"
)

// dateTime is the DateTime scalar.
//
//nolint:recvcheck // the library wants values to encode and pointers to decode
type dateTime struct{ time.Time }

func (dateTime) ImplementsGraphQLType(name string) bool { return name == "DateTime" }

func (t *dateTime) UnmarshalGraphQL(input any) error {
	text, ok := input.(string)
	if !ok {
		return fmt.Errorf("want a time as text, have %T", input)
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if parsed, err := time.Parse(layout, text); err == nil {
			t.Time = parsed
			return nil
		}
	}
	return fmt.Errorf("%q is not a time such as 2006-01-02T15:04:05Z", text)
}

func (t dateTime) MarshalJSON() ([]byte, error) {
	return json.Marshal(t.UTC().Format(time.RFC3339Nano))
}

// moment returns nil for a time that never was.
func moment(t time.Time) *dateTime {
	if t.IsZero() {
		return nil
	}
	return &dateTime{t}
}

func timeOf(t *dateTime) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}

// choice is an argument of an enum type that has a default: null, which clients
// send for variables they leave out, means the default too.
//
//nolint:recvcheck // as dateTime
type choice string

// ImplementsGraphQLType is true of every enum: the library has checked the value.
func (choice) ImplementsGraphQLType(string) bool { return true }

func (c *choice) UnmarshalGraphQL(input any) error {
	text, ok := input.(string)
	if input != nil && !ok {
		return fmt.Errorf("want the name of a value, have %T", input)
	}
	*c = choice(text)
	return nil
}

// Nullable tells the library to pass null on.
func (*choice) Nullable() {}

// optional returns nil for empty text.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func number(value int) *int32 {
	short := int32(value)
	return &short
}

func globalID(kind, uuid string) graphql.ID {
	return graphql.ID(state.GlobalID(kind, uuid))
}

func wholes(list *[]int32) []int {
	if list == nil {
		return nil
	}
	result := make([]int, 0, len(*list))
	for _, value := range *list {
		result = append(result, int(value))
	}
	return result
}

func valueOf[T any](pointer *T) T {
	if pointer == nil {
		var zero T
		return zero
	}
	return *pointer
}
