package main

import (
	"github.com/spf13/cobra"

	"github.com/mixsync/mixsync/configs"
)

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of the configuration", Args: noArgs,
		Long: `Print the JSON Schema of the configuration, for editors. Save it beside the
YAML and name it in the first line:

  # yaml-language-server: $schema=./mixsync.schema.json`,
		Example: "  mixsync schema > mixsync.schema.json",
		RunE: func(*cobra.Command, []string) error {
			_, err := a.stdout.Write(configs.Schema())
			return err
		},
	}
}
