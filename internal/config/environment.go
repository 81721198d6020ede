package config

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	variablePrefix = "CARILLON_"
	// fileSuffix marks a variable that names a file with the value.
	fileSuffix = "_FILE"
)

// variableName returns the environment variable of a setting.
func (l leaf) variableName() string {
	return variablePrefix + strings.ToUpper(strings.Join(l.names, "_"))
}

// isText reports whether the setting is a text, which may also be given as a file.
func (l leaf) isText() bool { return l.value.Kind() == reflect.String }

// loadEnvironment applies the variables that are set and not empty, in the order of the settings.
func (l *loader) loadEnvironment(environ []string) {
	variables := gatewayVariables(environ)
	var known []string
	for _, setting := range leaves(&l.config) {
		name := setting.variableName()
		known = append(known, name)
		value, given := variables[name]
		delete(variables, name)
		if setting.isText() {
			known = append(known, name+fileSuffix)
			path, fromFile := variables[name+fileSuffix]
			delete(variables, name+fileSuffix)
			if fromFile {
				l.variable = name + fileSuffix
				l.loadVariableFile(setting, path, given)
				continue
			}
		}
		if given {
			l.variable = name
			l.loadVariable(setting, value)
		}
	}
	l.variable = ""
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		if !isServiceLink(name, variables[name]) {
			l.warnings = append(l.warnings, Warning{
				Variable: name,
				Message:  "unknown variable; the nearest valid name is " + nearestVariable(name, known),
			})
		}
	}
}

// nearestVariable returns the known variable that was probably meant: the last word of a name may be another word for a key.
func nearestVariable(name string, known []string) string {
	if i := strings.LastIndexByte(name, '_'); i >= 0 {
		if other := name[:i+1] + strings.ToUpper(otherNames[foldName(name[i+1:])]); slices.Contains(known, other) {
			return other
		}
	}
	return nearest(name, known)
}

// gatewayVariables returns the variables that are meant for the gateway; of several with one name the first, as for
// every program.
func gatewayVariables(environ []string) map[string]string {
	variables := map[string]string{}
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		if _, twice := variables[name]; !twice && strings.HasPrefix(name, variablePrefix) {
			variables[name] = value
		}
	}
	maps.DeleteFunc(variables, func(_, value string) bool { return value == "" })
	return variables
}

// loadVariable sets a setting to what its variable says.
func (l *loader) loadVariable(setting leaf, value string) {
	key := setting.key()
	l.origins[key] = origin{variable: l.variable}
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
	kind := setting.value.Kind()
	switch {
	case kind == reflect.Slice && !isSection(setting.value.Type().Elem()):
		n = &yaml.Node{Kind: yaml.SequenceNode}
		for element := range strings.SplitSeq(value, ",") {
			if element = strings.TrimSpace(element); element != "" {
				n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: element})
			}
		}
	case kind == reflect.Slice || kind == reflect.Map:
		root, fault := parseDocument([]byte(value))
		if fault != nil {
			l.fault(key, "%s", fault.Message)
			return
		}
		if root == nil {
			return
		}
		n = root
	}
	l.decode(key, n, setting.value)
}

// loadVariableFile sets a setting to the content of the file its variable names.
func (l *loader) loadVariableFile(setting leaf, path string, alsoGiven bool) {
	l.origins[setting.key()] = origin{variable: l.variable}
	if alsoGiven {
		l.fault(setting.key(), "%s is set as well; set one of the two", setting.variableName())
		return
	}
	content, err := l.readFile(path)
	if err != nil {
		l.fault(setting.key(), "the value's file cannot be read: %s", FileError(path, err))
		return
	}
	if !utf8.Valid(content) {
		l.fault(setting.key(), "the content of %s is not UTF-8", FileName(path))
		return
	}
	setting.value.SetString(strings.TrimRight(string(content), "\r\n"))
}

// serviceLink matches the names Kubernetes gives each container for each Service of its namespace.
var serviceLink = regexp.MustCompile(
	`^CARILLON(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// isServiceLink reports whether a variable comes from Kubernetes and not from a person.
func isServiceLink(name, value string) bool {
	if serviceLink.MatchString(name) {
		return true
	}
	protocol, _, isAddress := strings.Cut(value, "://")
	return isAddress && strings.HasSuffix(name, "_PORT") && slices.Contains([]string{"tcp", "udp", "sctp"}, protocol)
}
