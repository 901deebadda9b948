package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// CompletionCmd is the command that prints a shell's completion script. Add it to a kong
// command line as a field:
//
//	Completion cli.CompletionCmd `cmd:"" help:"Print the completion script of a shell."`
type CompletionCmd struct {
	Shell string `arg:"" help:"bash, zsh or fish." enum:"bash,zsh,fish"`
}

// Help explains how to use the script.
func (CompletionCmd) Help() string {
	return `For this session:
  bash    source <(mayfly completion bash)
  zsh     source <(mayfly completion zsh)
  fish    mayfly completion fish | source
For every session, put that line into ~/.bashrc, ~/.zshrc or ~/.config/fish/config.fish.`
}

// Run prints the script.
func (c CompletionCmd) Run(s *Screen, parser *kong.Kong) error {
	return WriteCompletion(s.Out, parser.Model, c.Shell)
}

// WriteCompletion writes a script with which shell (bash, zsh or fish) completes the
// commands, flags and values of model. Anything else completes as a file name.
func WriteCompletion(w io.Writer, model *kong.Application, shell string) error {
	write, ok := map[string]func(string, []spot) string{"bash": bash, "zsh": zsh, "fish": fish}[shell]
	if !ok {
		return fmt.Errorf("completion for %q: want bash, zsh or fish", shell)
	}
	_, err := io.WriteString(w, write(model.Name, spots(model.Node, "")))
	return err
}

// A spot is a place in the command line, after a command, and the words that may follow there.
type spot struct {
	path  string // the words so far, such as "config check"; "" after the program's name
	words []word
}

// A word is one completion at a spot.
type word struct {
	text, help string
	command    bool
	value      bool     // a flag that takes one
	values     []string // the flag's possible values, if they are known
}

// spots lists node and all spots below it.
func spots(node *kong.Node, path string) []spot {
	here := spot{path: path}
	var below []spot
	for _, child := range node.Children {
		if child.Hidden {
			continue
		}
		here.words = append(here.words, word{text: child.Name, help: firstLine(child.Help), command: true})
		below = append(below, spots(child, strings.TrimSpace(path+" "+child.Name))...)
	}
	for _, argument := range node.Positional {
		if argument.Enum == "" {
			continue
		}
		for _, v := range argument.EnumSlice() {
			here.words = append(here.words, word{text: v, help: firstLine(argument.Help), command: true})
		}
	}
	for n := node; n != nil; n = n.Parent {
		for _, f := range n.Flags {
			if !f.Hidden {
				here.words = append(here.words, flagWord(f))
			}
		}
	}
	return append([]spot{here}, below...)
}

func flagWord(f *kong.Flag) word {
	w := word{text: "--" + f.Name, help: firstLine(f.Help), value: !f.IsBool() && !f.IsCounter()}
	if f.Enum != "" {
		w.values = f.EnumSlice()
	}
	return w
}

func firstLine(help string) string {
	line, _, _ := strings.Cut(help, "\n")
	return line
}

// takers returns the flags that take a value, each as "COMMANDS --flag".
func takers(list []spot) (all []string) {
	for _, s := range list {
		for _, w := range s.words {
			if w.value {
				all = append(all, s.path+" "+w.text)
			}
		}
	}
	return all
}

// paths returns the commands of all spots but the first, the program itself.
func paths(list []spot) (all []string) {
	for _, s := range list[1:] {
		all = append(all, s.path)
	}
	return all
}

// alternatives quotes and joins words for a script.
func alternatives(words []string, separator string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(w)
	}
	return strings.Join(quoted, separator)
}

// walk returns the part of a script for bash and zsh that locates the cursor: it sets at to
// the commands so far, and skip if the word before the cursor is a flag that takes a value.
// Values are skipped, because one may look like a command.
func walk(list []spot) string {
	return fmt.Sprintf(`  local at= skip= word
  for word in "${before[@]}"; do
    if [[ -n $skip ]]; then skip=; continue; fi
    case "$at $word" in
      %s) skip=yes;;
    esac
    case "${at:+$at }$word" in
      %s) at="${at:+$at }$word";;
    esac
  done
`, alternatives(takers(list), "|"), alternatives(paths(list), "|"))
}

// values returns the part that completes the value of the flag before the cursor.
func values(list []spot, offer func(values []string) string) string {
	var b strings.Builder
	b.WriteString("  case \"$skip:$at $previous\" in\n")
	for _, s := range list {
		for _, w := range s.words {
			if len(w.values) > 0 {
				fmt.Fprintf(&b, "    yes:\"%s %s\") %s; return;;\n", s.path, w.text, offer(w.values))
			}
		}
	}
	b.WriteString("    yes:*) " + offer(nil) + "; return;;\n  esac\n")
	return b.String()
}

func bash(program string, list []spot) string {
	var b strings.Builder
	name := "_" + strings.ReplaceAll(program, "-", "_")
	reply := func(words []string) string {
		return fmt.Sprintf(`COMPREPLY=($(compgen -W %s -- "$current"))`, quote(strings.Join(words, " ")))
	}
	fmt.Fprintf(&b, "# completion of %s for bash\n%s() {\n", program, name)
	b.WriteString(`  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
  local before=("${COMP_WORDS[@]:1:COMP_CWORD-1}")
  COMPREPLY=()
`)
	b.WriteString(walk(list))
	b.WriteString(values(list, reply))
	b.WriteString("  case \"$at\" in\n")
	for _, s := range list {
		var words []string
		for _, w := range s.words {
			words = append(words, w.text)
		}
		fmt.Fprintf(&b, "    \"%s\") %s;;\n", s.path, reply(words))
	}
	fmt.Fprintf(&b, "  esac\n}\ncomplete -o default -F %s %s\n", name, program)
	return b.String()
}

func zsh(program string, list []spot) string {
	var b strings.Builder
	name := "_" + strings.ReplaceAll(program, "-", "_")
	fmt.Fprintf(&b, "#compdef %s\n%s() {\n", program, name)
	b.WriteString("  local previous=${words[CURRENT-1]}\n  local -a before=(\"${(@)words[2,CURRENT-1]}\") offer\n")
	b.WriteString(walk(list))
	b.WriteString(values(list, func(values []string) string {
		if values == nil {
			return "_files"
		}
		return "compadd -- " + strings.Join(values, " ")
	}))
	b.WriteString("  case \"$at\" in\n")
	for _, s := range list {
		fmt.Fprintf(&b, "    \"%s\") offer=(\n", s.path)
		for _, w := range s.words {
			fmt.Fprintf(&b, "      %s\n", quote(w.text+":"+w.help))
		}
		b.WriteString("    );;\n")
	}
	fmt.Fprintf(&b, "  esac\n  _describe '%s' offer || _files\n}\ncompdef %s %s\n", program, name, program)
	return b.String()
}

func fish(program string, list []spot) string {
	var b strings.Builder
	function := "__" + strings.ReplaceAll(program, "-", "_") + "_at"
	fmt.Fprintf(&b, `# completion of %s for fish
function %s
  set -l at
  set -l skip
  for word in (commandline -opc)[2..]
    if test -n "$skip"
      set skip
      continue
    end
    switch "$at $word"
      case %s
        set skip yes
    end
    switch (string trim "$at $word")
      case %s
        set -a at $word
    end
  end
  test "$at" = "$argv"
end
`, program, function, alternatives(takers(list), " "), alternatives(paths(list), " "))
	for _, s := range list {
		at := fmt.Sprintf("complete -c %s -n %s", program, quote(function+" "+s.path))
		for _, w := range s.words {
			switch {
			case w.command:
				fmt.Fprintf(&b, "%s -f -a %s", at, quote(w.text))
			case len(w.values) > 0:
				fmt.Fprintf(&b, "%s -l %s -x -a %s", at, w.text[2:], quote(strings.Join(w.values, " ")))
			case w.value:
				fmt.Fprintf(&b, "%s -l %s -r", at, w.text[2:])
			default:
				fmt.Fprintf(&b, "%s -l %s", at, w.text[2:])
			}
			fmt.Fprintf(&b, " -d %s\n", quote(w.help))
		}
	}
	return b.String()
}

// quote quotes s for all three shells. fish escapes a quote inside quotes differently from
// the others, so an apostrophe in a help text becomes a typographic one.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "’") + "'" }
