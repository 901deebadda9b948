package minirunner

import (
	"fmt"
	"os"
	"strings"
)

// maxFile bounds a file by which a step speaks to its runner.
const maxFile = 1 << 20

// readLimited reads one of the step's files; what is not there is empty.
func readLimited(path string) (string, error) {
	info, err := os.Stat(path)
	if os.IsNotExist(err) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	if info.Size() > maxFile {
		return "", fmt.Errorf("%s has %d bytes: want at most %d", path, info.Size(), maxFile)
	}
	b, err := os.ReadFile(path)
	return string(b), err
}

// A pair is one NAME=value of an environment or output file.
type pair struct{ name, value string }

// parsePairs reads a GITHUB_ENV or GITHUB_OUTPUT file: lines NAME=value, or
// NAME<<END with lines of a value until a line END.
func parsePairs(text string) ([]pair, error) {
	var pairs []pair
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		equal, heredoc := strings.Index(line, "="), strings.Index(line, "<<")
		switch {
		case strings.TrimSpace(line) == "":
		case heredoc > 0 && (equal < 0 || heredoc < equal):
			end := line[heredoc+2:]
			var value []string
			for i++; i < len(lines) && lines[i] != end; i++ {
				value = append(value, lines[i])
			}
			if end == "" || i == len(lines) {
				return nil, fmt.Errorf("value of %q: want a line %q at its end", line[:heredoc], end)
			}
			pairs = append(pairs, pair{line[:heredoc], strings.Join(value, "\n")})
		case equal > 0:
			pairs = append(pairs, pair{line[:equal], line[equal+1:]})
		default:
			return nil, fmt.Errorf("line %q: want NAME=value or NAME<<END", line)
		}
	}
	return pairs, nil
}
