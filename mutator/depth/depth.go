// Package depth measures how deep a JSON text nests, before anything decodes
// it: a decoder's work and stack grow with the depth, and hostile texts are deep.
// It imports nothing, so that everything may import it.
package depth

// Max is the deepest that a pod or a plugin may nest. It is far above what a
// pod can mean (about 15) and far below what costs a decoder its stack.
const Max = 64

// Of returns how many objects and lists enclose the innermost value of a JSON
// text. Of a text that is not valid JSON the result says nothing, but it comes
// in one pass without recursion.
func Of(text []byte) int {
	depth, deepest, inString := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}
