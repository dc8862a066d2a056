package interpose

import (
	"errors"
	"fmt"
	"strings"
)

// split cuts a line into words as a POSIX shell would, with its three ways of
// quoting and without its expansions: a dollar sign is a dollar sign.
func split(line string) ([]string, error) {
	s := splitter{rest: line}
	for s.rest != "" {
		if err := s.step(); err != nil {
			return nil, err
		}
	}
	s.end()

	return s.words, nil
}

type splitter struct {
	rest  string
	word  strings.Builder
	begun bool // so that '' is a word
	words []string
}

func (s *splitter) end() {
	if s.begun {
		s.words = append(s.words, s.word.String())
		s.word.Reset()
		s.begun = false
	}
}

// take removes and returns the next n bytes.
func (s *splitter) take(n int) string {
	taken := s.rest[:n]
	s.rest = s.rest[n:]

	return taken
}

// step handles one character or one quotation.
func (s *splitter) step() error {
	switch next := s.take(1); next {
	case " ", "\t", "\n":
		s.end()

		return nil
	case "'":
		return s.single()
	case `"`:
		return s.double()
	case `\`:
		if s.rest == "" {
			return errors.New("the line ends with a backslash that quotes nothing")
		}
		// A quoted line end is no character at all.
		if quoted := s.take(1); quoted != "\n" {
			s.begun = true
			s.word.WriteString(quoted)
		}

		return nil
	default:
		s.begun = true
		s.word.WriteString(next)

		return nil
	}
}

func (s *splitter) single() error {
	s.begun = true
	length := strings.IndexByte(s.rest, '\'')
	if length < 0 {
		return fmt.Errorf("a single quote is not closed: '%s", s.rest)
	}
	s.word.WriteString(s.take(length))
	s.take(1)

	return nil
}

func (s *splitter) double() error {
	s.begun = true
	opening := s.rest
	for s.rest != "" {
		switch next := s.take(1); next {
		case `"`:
			return nil
		case `\`:
			if err := s.escapeInDouble(); err != nil {
				return err
			}
		default:
			s.word.WriteString(next)
		}
	}

	return fmt.Errorf(`a double quote is not closed: "%s`, opening)
}

// escapeInDouble handles a backslash between double quotes, where it quotes only
// what would otherwise mean something.
func (s *splitter) escapeInDouble() error {
	if s.rest == "" {
		return errors.New("the line ends with a backslash that quotes nothing")
	}
	switch quoted := s.take(1); quoted {
	case "$", "`", `"`, `\`:
		s.word.WriteString(quoted)
	case "\n":
	default:
		s.word.WriteString(`\` + quoted)
	}

	return nil
}
