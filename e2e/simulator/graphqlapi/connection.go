package graphqlapi

import "github.com/buildkite/agent-stack-k8s/e2e/simulator/state"

// pageArguments are what every connection takes.
type pageArguments struct {
	First, Last   *int32
	After, Before *string
}

func (p pageArguments) page() state.Page {
	whole := func(value *int32) *int {
		if value == nil {
			return nil
		}
		number := int(*value)
		return &number
	}
	return state.Page{First: whole(p.First), Last: whole(p.Last), After: p.After, Before: p.Before}
}

// connection is a page of nodes of one type.
type connection[N any] struct {
	count int
	edges []*edge[N]
	info  pageInfo
}

type edge[N any] struct {
	cursor string
	node   N
}

type pageInfo struct {
	start, end *string
	next, prev bool
}

// connect makes a connection of what the store returned, each item turned into
// a node.
func connect[T, N any](paged state.Paged[T], node func(T) N) *connection[N] {
	result := &connection[N]{count: paged.Count, info: pageInfo{next: paged.HasNext, prev: paged.HasPrev}}
	for i, item := range paged.Items {
		result.edges = append(result.edges, &edge[N]{cursor: paged.Cursors[i], node: node(item)})
	}
	if last := len(paged.Cursors) - 1; last >= 0 {
		result.info.start, result.info.end = &paged.Cursors[0], &paged.Cursors[last]
	}
	return result
}

func (c *connection[N]) Count() int32 { return int32(c.count) }

func (c *connection[N]) Edges() *[]*edge[N] {
	if c.edges == nil {
		return &[]*edge[N]{}
	}
	return &c.edges
}

func (c *connection[N]) PageInfo() *pageInfo { return &c.info }

func (e *edge[N]) Cursor() string { return e.cursor }
func (e *edge[N]) Node() N        { return e.node }

func (p *pageInfo) StartCursor() *string  { return p.start }
func (p *pageInfo) EndCursor() *string    { return p.end }
func (p *pageInfo) HasNextPage() bool     { return p.next }
func (p *pageInfo) HasPreviousPage() bool { return p.prev }
