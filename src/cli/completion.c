/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `completion`: the shells' scripts. They know nothing of commands and flags: what to offer is asked of `coffer __complete` at every key.
 */
#include <stdio.h>

#include "base/str.h"
#include "cli/complete.h"

/* bash cuts words at : and =, too: they are joined again for the question, and the answers are cut where bash cut. */
static const char bash[] =
	"# bash completion for coffer\n"
	"_coffer() {\n"
	"\tlocal i word line hints joined=() glue=\n"
	"\tfor ((i = 0; i <= COMP_CWORD; i++)); do\n"
	"\t\tword=${COMP_WORDS[i]}\n"
	"\t\tif [[ $glue && ${#joined[@]} -gt 0 ]] || [[ $word == [:=]* && $i -gt 1 && ${#joined[@]} -gt 0 ]]; then\n"
	"\t\t\tjoined[${#joined[@]}-1]+=$word\n"
	"\t\telse\n"
	"\t\t\tjoined+=(\"$word\")\n"
	"\t\tfi\n"
	"\t\tglue=\n"
	"\t\t[[ $word == [:=] ]] && glue=1\n"
	"\tdone\n"
	"\tlocal cur=${joined[${#joined[@]}-1]} last=${COMP_WORDS[COMP_CWORD]} out=()\n"
	"\t[[ $last == [:=] ]] && last=\n"
	"\tlocal cut=${cur%\"$last\"}\n"
	"\tCOMPREPLY=()\n"
	"\tmapfile -t out < <(\"${joined[0]/#\\~/$HOME}\" __complete \"${joined[@]:1}\" 2>/dev/null)\n"
	"\t[[ ${#out[@]} -gt 0 ]] || return 0\n"
	"\thints=${out[${#out[@]}-1]#:}\n"
	"\tunset 'out[${#out[@]}-1]'\n"
	"\tfor line in \"${out[@]}\"; do\n"
	"\t\tline=${line%%$'\\t'*}\n"
	"\t\tline=${line#\"$cut\"}\n"
	"\t\tCOMPREPLY+=(\"$line\")\n"
	"\tdone\n"
	"\tif ((hints & 1)); then compopt -o nospace 2>/dev/null; fi\n"
	"\tif ((hints & 2)); then\n"
	"\t\tcompopt -o filenames 2>/dev/null\n"
	"\t\twhile IFS= read -r line; do COMPREPLY+=(\"$line\"); done < <(compgen -f -- \"$last\")\n"
	"\telif ((hints & 4)); then\n"
	"\t\tcompopt -o filenames 2>/dev/null\n"
	"\t\twhile IFS= read -r line; do COMPREPLY+=(\"$line\"); done < <(compgen -d -- \"$last\")\n"
	"\tfi\n"
	"\treturn 0\n"
	"}\n"
	"complete -F _coffer coffer\n";

static const char zsh[] =
	"#compdef coffer\n"
	"# zsh completion for coffer\n"
	"_coffer() {\n"
	"\tlocal -a out plain described\n"
	"\tlocal line hints\n"
	"\tout=(\"${(@f)$(${(Q)words[1]} __complete \"${(@Q)words[2,CURRENT]}\" 2>/dev/null)}\")\n"
	"\thints=${out[-1]#:}\n"
	"\t[[ $hints == <-> ]] || return 1\n"
	"\tout=(\"${(@)out[1,-2]}\")\n"
	"\tfor line in \"${(@)out}\"; do\n"
	"\t\t[[ -n $line ]] || continue\n"
	"\t\tif [[ $line == *$'\\t'* ]]; then\n"
	"\t\t\tdescribed+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\")\n"
	"\t\telse\n"
	"\t\t\tplain+=(\"${line//:/\\\\:}\")\n"
	"\t\tfi\n"
	"\tdone\n"
	"\tlocal -a space\n"
	"\t(( hints & 1 )) && space=(-S '')\n"
	"\t(( ${#described} )) && _describe -t commands 'coffer' described $space\n"
	"\t(( ${#plain} )) && _describe -t values 'coffer' plain $space\n"
	"\t(( hints & 2 )) && _files\n"
	"\t(( hints & 4 )) && _files -/\n"
	"\treturn 0\n"
	"}\n"
	"if [[ ${funcstack[1]} == _coffer ]]; then _coffer \"$@\"; else compdef _coffer coffer; fi\n";

static const char fish[] =
	"# fish completion for coffer\n"
	"function __coffer_complete\n"
	"\tset -l words (commandline -opc)\n"
	"\tset -l cur (commandline -ct)\n"
	"\tset -l out ($words[1] __complete $words[2..-1] \"$cur\" 2>/dev/null)\n"
	"\tset -l hints 0\n"
	"\tfor line in $out\n"
	"\t\tif string match -qr '^:[0-9]+$' -- $line\n"
	"\t\t\tset hints (string sub -s 2 -- $line)\n"
	"\t\telse\n"
	"\t\t\techo $line\n"
	"\t\tend\n"
	"\tend\n"
	"\tif test (math \"floor($hints / 2) % 2\") -eq 1\n"
	"\t\t__fish_complete_path \"$cur\"\n"
	"\telse if test (math \"floor($hints / 4) % 2\") -eq 1\n"
	"\t\t__fish_complete_directories \"$cur\"\n"
	"\tend\n"
	"end\n"
	"complete -c coffer -f -a '(__coffer_complete)'\n";

static const struct completion_script scripts[] = {
	{"bash", "bash-completion/completions/coffer", bash},
	{"fish", "fish/vendor_completions.d/coffer.fish", fish},
	{"zsh", "zsh/site-functions/_coffer", zsh},
};

const struct completion_script *completion_scripts(size_t *ret_n)
{
	*ret_n = ARRAY_LEN(scripts);
	return scripts;
}

static int completion_run(struct cli *cli, int argc, char **argv)
{
	_cleanup_args_ struct args a = {};
	int r = cli_parse(cli, argc, argv, NULL, &a);
	if (r != CLI_PARSED)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(scripts); i++)
		if (str_eq(scripts[i].shell, a.v[0])) {
			(void) printf("%s", scripts[i].text);
			return 0;
		}
	return cli_usage_error(cli, "there is no completion for '%.60s': use bash, fish or zsh", a.v[0]);
}

const struct command command_completion = {
	.name = "completion",
	.group = GROUP_OTHER,
	.usage = "bash|fish|zsh",
	.summary = "Print what makes a shell complete coffer's commands",
	.examples = "  source <(coffer completion bash)\n  coffer completion fish >~/.config/fish/completions/coffer.fish\n",
	.min_args = 1,
	.max_args = 1,
	.run = completion_run,
};
