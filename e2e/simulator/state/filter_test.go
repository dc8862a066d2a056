package state

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func commands(jobs []Job) []string {
	result := []string{}
	for _, job := range jobs {
		result = append(result, job.Command)
	}
	return result
}

func TestListJobs(t *testing.T) {
	s := newStore(t, Options{})
	yes, no := true, false
	build := s.build(`
agents: {queue: q}
steps:
  - {command: a, key: ka}
  - {command: b, priority: 3, agents: {queue: r, os: linux}}
  - wait
  - {command: c}`)
	loose := s.buildOf(NewBuild{Cluster: Unclustered, Slug: "loose"}, `[{command: d, agents: {queue: q}}]`)
	s.run(build.Jobs[0], "0")
	clusterUUID, queueUUID := build.Jobs[0].ClusterUUID, build.Jobs[1].QueueUUID
	cases := map[string]struct {
		filter Filter
		want   []string
	}{
		"all, newest first":     {Filter{}, []string{"d", "c", "", "b", "a"}},
		"states":                {Filter{States: []State{Scheduled}}, []string{"d", "b"}},
		"two states":            {Filter{States: []State{Scheduled, Finished}}, []string{"d", "b", "a"}},
		"command jobs":          {Filter{Types: []string{TypeCommand}}, []string{"d", "c", "b", "a"}},
		"wait steps":            {Filter{Types: []string{TypeWait}}, []string{""}},
		"any of the rules":      {Filter{Rules: []string{"queue=q", "os=linux"}}, []string{"d", "c", "b", "a"}},
		"one rule":              {Filter{Rules: []string{"queue=r"}}, []string{"b"}},
		"a rule nobody has":     {Filter{Rules: []string{"queue"}}, []string{}},
		"cluster":               {Filter{ClusterUUID: clusterUUID, Types: []string{TypeCommand}}, []string{"c", "b", "a"}},
		"another cluster":       {Filter{ClusterUUID: "none"}, []string{}},
		"queue":                 {Filter{QueueUUIDs: []string{queueUUID}}, []string{"b"}},
		"outside clusters":      {Filter{OutsideClusters: true, Types: []string{TypeCommand}}, []string{"d"}},
		"priority":              {Filter{Priorities: []int{3, 4}}, []string{"b"}},
		"step key":              {Filter{StepKeys: []string{"ka"}}, []string{"a"}},
		"build":                 {Filter{BuildUUID: loose.UUID}, []string{"d"}},
		"passed":                {Filter{Passed: &yes}, []string{"a"}},
		"not passed":            {Filter{Passed: &no}, []string{}},
		"created later":         {Filter{CreatedFrom: time.Now().Add(time.Hour)}, []string{}},
		"created before":        {Filter{CreatedTo: time.Now(), States: []State{Finished}, Types: []string{TypeCommand}}, []string{"a"}},
		"ended today":           {Filter{FinishedOn: time.Now(), Types: []string{TypeCommand}}, []string{"a"}},
		"ended yesterday":       {Filter{FinishedOn: time.Now().AddDate(0, 0, -1)}, []string{}},
		"nothing":               {Filter{None: true}, []string{}},
		"latest assigned first": {Filter{ByAssignment: true, Types: []string{TypeCommand}}, []string{"a", "d", "c", "b"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			listed, err := s.ListJobs(tc.filter, Page{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, commands(listed.Items)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if listed.Count != len(tc.want) {
				t.Errorf("count %d, want %d", listed.Count, len(tc.want))
			}
		})
	}
}

// letters are a sorted list of one-letter items, which are their own keys.
var letters = []string{"a", "b", "c", "d", "e"}

func TestPaginate(t *testing.T) {
	zero, two, nine, minus := 0, 2, 9, -1
	cursor := func(letter string) *string {
		paged, _ := Paginate(letters, func(s string) string { return s }, Page{})
		for i, item := range letters {
			if item == letter {
				return &paged.Cursors[i]
			}
		}
		t.Fatalf("no letter %q", letter)
		return nil
	}
	cases := map[string]struct {
		page       Page
		want       string
		prev, next bool
	}{
		"all":                    {Page{}, "[a b c d e]", false, false},
		"first":                  {Page{First: &two}, "[a b]", false, true},
		"first after":            {Page{First: &two, After: cursor("b")}, "[c d]", true, true},
		"first after, the end":   {Page{First: &two, After: cursor("d")}, "[e]", true, false},
		"after the last":         {Page{First: &two, After: cursor("e")}, "[]", true, false},
		"last":                   {Page{Last: &two}, "[d e]", true, false},
		"last before":            {Page{Last: &two, Before: cursor("d")}, "[b c]", true, true},
		"last before, the start": {Page{Last: &two, Before: cursor("b")}, "[a]", false, true},
		"before the first":       {Page{Last: &two, Before: cursor("a")}, "[]", false, true},
		"between":                {Page{After: cursor("a"), Before: cursor("d")}, "[b c]", true, true},
		"crossed":                {Page{After: cursor("d"), Before: cursor("b")}, "[]", true, true},
		"more than there are":    {Page{First: &nine}, "[a b c d e]", false, false},
		"none":                   {Page{First: &zero}, "[]", false, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := Paginate(letters, func(s string) string { return s }, tc.page)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, fmt.Sprint(got.Items)); diff != "" {
				t.Errorf("items (-want +got):\n%s", diff)
			}
			if got.HasPrev != tc.prev || got.HasNext != tc.next || got.Count != len(letters) {
				t.Errorf("previous %t, next %t, count %d", got.HasPrev, got.HasNext, got.Count)
			}
		})
	}
	bad := "%%%"
	for name, page := range map[string]Page{"bad cursor": {After: &bad}, "bad cursor before": {Before: &bad}, "negative": {First: &minus}} {
		_, err := Paginate(letters, func(s string) string { return s }, page)
		t.Run(name, func(t *testing.T) { newStore(t, Options{}).refused(err, http.StatusUnprocessableEntity) })
	}
}

// TestPagesBackwards reads all jobs oldest first while others come and go, as
// the dispatcher does.
func TestPagesBackwards(t *testing.T) {
	s := newStore(t, Options{})
	build := s.build(`[{command: a}, {command: b}, {command: c}, {command: d}, {command: e}]`)
	two := 2
	var seen []string
	page := Page{Last: &two}
	for round := 0; ; round++ {
		listed, err := s.ListJobs(Filter{States: []State{Scheduled}}, page)
		s.must(err)
		for _, job := range slices.Backward(listed.Items) {
			seen = append(seen, job.Command)
		}
		if !listed.HasPrev {
			break
		}
		if round == 0 { // the job that the cursor was made of leaves the list, a new one comes
			s.run(build.Jobs[1], "0")
			s.build(`[{command: new}]`)
		}
		page.Before = &listed.Cursors[0]
	}
	if diff := cmp.Diff([]string{"a", "b", "c", "d", "e", "new"}, seen); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
