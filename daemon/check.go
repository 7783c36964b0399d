package daemon

import (
	"os"
	"path/filepath"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/material"
	"github.com/moongate-vpn/moongate/daemon/plugin"
)

// Check reads a command line in OpenVPN's form with the files it names, as Main does at its start, and runs nothing. It goes on after
// mistakes: the findings are all there are, but of the Lua scripts that are named. Their files are returned.
func Check(args []string) (found []config.Finding, luaFiles []string) {
	_, found = config.Lint(args, config.Env{}, material.Look, lookAtPlugins, lookAtUsers, func(o *config.Options) (found []config.Problem) {
		for _, s := range scripts(o) {
			path, err := filepath.Abs(s.Path) // while cd is in force
			if err == nil {
				_, err = os.Stat(path)
			}
			if err != nil {
				found = append(found, problem("script", s.Path, config.RuleFile, "script: "+err.Error()))
				continue
			}
			luaFiles = append(luaFiles, path)
		}
		return found
	})
	return found, luaFiles
}

func problem(option, word, rule, text string) config.Problem {
	return config.Problem{Option: option, Word: word, Finding: config.Finding{Rule: rule, Text: text}}
}

// lookAtPlugins tells what plugins lack.
func lookAtPlugins(o *config.Options) (found []config.Problem) {
	for _, lack := range plugin.Missing(pluginSpecs(o)) {
		found = append(found, problem("plugin", lack.Plugin, "plugin", lack.Err.Error()))
	}
	return found
}

// lookAtUsers tells users and groups that are not there.
func lookAtUsers(o *config.Options) (found []config.Problem) {
	for _, x := range []struct{ option, user, group string }{{"user", o.User, ""}, {"group", "", o.Group}} {
		if err := new(privileges).lookup(x.user, x.group, ""); err != nil {
			found = append(found, problem(x.option, x.user+x.group, config.RuleSyntax, err.Error()))
		}
	}
	return found
}
