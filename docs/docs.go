// Package docs holds the pages that the gateway prints, so that they are at hand wherever it runs.
package docs

import _ "embed"

// Configuration is the page about every key.
//
//go:embed configuration.md
var Configuration string

// Rules is the page about what stands under namespaces.
//
//go:embed rules.md
var Rules string

// Bench is the page about putting load on a server.
//
//go:embed bench.md
var Bench string

// Example is a configuration to begin with.
//
//go:embed example.yaml
var Example string
