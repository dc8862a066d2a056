// Package pages reads the shell blocks of the documentation, for the tests that
// run them.
package pages

import (
	"bufio"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Block is a fenced block of a page that a reader may paste into a shell.
type Block struct {
	// Page is the page's path below the root of the repository, such as
	// docs/install.md, and Line that of the block's fence.
	Page string
	Line int
	// Text is what stands between the fences, without their indentation. With
	// Prompts each command begins with "$ ", and what it prints follows.
	Text    string
	Prompts bool
	// Mark is the comment on the line before, without its delimiters; empty if
	// there is none.
	Mark string
}

// String says where the block is.
func (b Block) String() string { return fmt.Sprintf("%s:%d", b.Page, b.Line) }

// RunBy reports whether the block's mark names the test as one that runs it, as
// in "run by: TestX in e2e/chart".
func (b Block) RunBy(test, directory string) bool {
	by, found := strings.CutPrefix(b.Mark, "run by: ")
	return found && slices.Contains(strings.Split(by, ", "), test+" in "+directory)
}

// List returns the pages of a checkout, as paths below its root: README.md, that
// of the manifests, and all in docs.
func List(root string) ([]string, error) {
	found, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		return nil, fmt.Errorf("list the pages: %w", err)
	}
	names := []string{"README.md", "manifests/README.md"}
	for _, file := range found {
		names = append(names, path.Join("docs", filepath.Base(file)))
	}
	return names, nil
}

// Blocks returns the shell blocks of all pages of a checkout: those marked sh,
// bash, shell or console, and those that begin with a prompt whatever they are
// marked.
func Blocks(root string) ([]Block, error) {
	names, err := List(root)
	if err != nil {
		return nil, err
	}
	var all []Block
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			return nil, fmt.Errorf("read a page: %w", err)
		}
		found, err := read(name, string(text))
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// read finds the shell blocks of a page.
func read(name, text string) ([]Block, error) {
	var found []Block
	var lines []string
	var language, indentation, before string
	fence, number := 0, 0
	for scanner := bufio.NewScanner(strings.NewReader(text)); scanner.Scan(); {
		number++
		line := scanner.Text()
		trimmed := strings.TrimLeft(line, " ")
		switch {
		case fence == 0 && strings.HasPrefix(trimmed, "```"):
			fence, lines = number, nil
			language = strings.TrimSpace(strings.Trim(trimmed, "`"))
			indentation = line[:len(line)-len(trimmed)]
		case fence == 0:
			before = trimmed
		case trimmed == "```":
			block := Block{Page: name, Line: fence, Text: strings.Join(lines, "\n") + "\n", Mark: mark(before)}
			block.Prompts = strings.HasPrefix(block.Text, "$ ")
			if block.Prompts || slices.Contains([]string{"sh", "bash", "shell", "console"}, language) {
				found = append(found, block)
			}
			fence, before = 0, ""
		default:
			lines = append(lines, strings.TrimPrefix(line, indentation))
		}
	}
	if fence != 0 {
		return nil, fmt.Errorf("%s:%d: the block does not end", name, fence)
	}
	return found, nil
}

// mark returns what a line that is a comment says.
func mark(line string) string {
	text, isComment := strings.CutPrefix(strings.TrimSpace(line), "<!--")
	text, ended := strings.CutSuffix(text, "-->")
	if !isComment || !ended {
		return ""
	}
	return strings.TrimSpace(text)
}
