package state

import (
	"encoding/base64"
	"slices"
)

// maxPageSize is how many elements a connection returns at most, and without
// first and last.
const maxPageSize = 500

// Page picks a part of a list, in the way of GraphQL's cursor connections.
type Page struct {
	First, Last   *int
	After, Before *string
}

// Paged is that part.
type Paged[T any] struct {
	Items   []T
	Cursors []string
	// Count is the length of the whole list.
	Count            int
	HasNext, HasPrev bool
}

// Paginate returns the part of items that p picks. key gives each item a text by
// which items is sorted; the cursor is made of it, so that it stays good when
// other items come and go. A bad cursor or number is a Problem.
func Paginate[T any](items []T, key func(T) string, p Page) (Paged[T], error) {
	start, end := 0, len(items)
	if p.After != nil {
		after, err := decodeCursor(*p.After)
		if err != nil {
			return Paged[T]{}, err
		}
		start, _ = slices.BinarySearchFunc(items, after, func(item T, after string) int {
			if key(item) <= after {
				return -1
			}
			return 1
		})
	}
	if p.Before != nil {
		before, err := decodeCursor(*p.Before)
		if err != nil {
			return Paged[T]{}, err
		}
		end, _ = slices.BinarySearchFunc(items, before, func(item T, before string) int {
			if key(item) < before {
				return -1
			}
			return 1
		})
	}
	end = max(start, end)
	start, end, err := p.limit(start, end)
	if err != nil {
		return Paged[T]{}, err
	}
	result := Paged[T]{Items: items[start:end], Count: len(items), HasNext: end < len(items), HasPrev: start > 0}
	result.Cursors = make([]string, 0, len(result.Items))
	for _, item := range result.Items {
		result.Cursors = append(result.Cursors, base64.StdEncoding.EncodeToString([]byte(key(item))))
	}
	return result, nil
}

func (p Page) limit(start, end int) (int, int, error) {
	if (p.First != nil && *p.First < 0) || (p.Last != nil && *p.Last < 0) {
		return 0, 0, unprocessable("first and last must not be negative")
	}
	if p.First != nil {
		end = min(end, start+min(*p.First, maxPageSize))
	}
	if p.Last != nil {
		start = max(start, end-min(*p.Last, maxPageSize))
	}
	if p.First == nil && p.Last == nil {
		end = min(end, start+maxPageSize)
	}
	return start, end, nil
}

func decodeCursor(cursor string) (string, error) {
	text, err := base64.StdEncoding.DecodeString(cursor)
	if err != nil {
		return "", unprocessable("%q is not a cursor", cursor)
	}
	return string(text), nil
}
