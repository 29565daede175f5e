package app

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/alecthomas/kong"
)

// cli is the command line. Its help is the reference of the program.
type cli struct {
	Up          upCommand          `cmd:"" help:"Run the whole shop on this machine."`
	Serve       serveCommand       `cmd:"" help:"Run some components of a stack."`
	Migrate     migrateCommand     `cmd:"" help:"Create roles and schemas and apply migrations."`
	Database    databaseCommand    `cmd:"" help:"Change the passwords of the components' database logins."`
	Backup      backupCommand      `cmd:"" help:"Back up a shop's database, restore it and examine it."`
	Cache       cacheCommand       `cmd:"" help:"Change the password of the platform's Redis login."`
	Encryption  encryptionCommand  `cmd:"" help:"Change the keys that encrypt sensitive fields."`
	Import      importCommand      `cmd:"" help:"Import a file of another shop into a running one."`
	Export      exportCommand      `cmd:"" help:"Export from a running shop in the file format of another."`
	User        userCommand        `cmd:"" help:"Manage users."`
	Simulate    simulateCommand    `cmd:"" name:"stripe-simulator" help:"Run the Stripe simulator alone, for development."`
	Conformance conformanceCommand `cmd:"" help:"Examine a running shop: does it oversell, charge twice, or show what it should not?"`
	Keys        keysCommand        `cmd:"" help:"Create the key files that the processes of a stack share."`
	Health      healthCommand      `cmd:"" help:"Ask a running process whether it is ready."`
}

// streams are where commands write.
type streams struct {
	out, err io.Writer
}

// Main parses arguments and runs the command. It returns when the command is
// done, or after ctx ended and everything was stopped.
func Main(ctx context.Context, args []string, out, errOut io.Writer) error {
	err := run(ctx, args, out, errOut)
	if err != nil {
		tellTermination(err)
	}
	return err
}

func run(ctx context.Context, args []string, out, errOut io.Writer) error {
	if err := readSecretFiles(os.Environ()); err != nil {
		return err
	}
	var root cli
	exited := false
	parser, err := kong.New(&root, kong.Name("commerce"),
		kong.Description("A commerce platform that does not oversell and does not charge twice."),
		kong.Writers(out, errOut), kong.UsageOnError(),
		kong.Vars{"components": componentList(), "log_level": defaultLogLevel(args)},
		kong.Exit(func(int) { exited = true }),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(streams{out: out, err: errOut}))
	if err != nil {
		return err
	}
	command, err := parser.Parse(args)
	if exited {
		return nil
	}
	if err != nil {
		var parse *kong.ParseError
		if errors.As(err, &parse) && parse.Context != nil {
			_ = parse.Context.PrintUsage(true)
		}
		return err
	}
	return command.Run()
}

// defaultLogLevel is quiet for a person in front of a terminal, who reads the
// banner, and tells operators every request.
func defaultLogLevel(args []string) string {
	if len(args) > 0 && args[0] == "up" {
		return "warn"
	}
	return "info"
}

// userCommand groups what concerns users.
type userCommand struct {
	CreateAdmin createAdminCommand `cmd:"" name:"create-admin" help:"Create an administrator, or make a user one."`
}

// keysCommand writes key files.
type keysCommand struct {
	Folder string `arg:"" help:"Folder for identity.keys and encryption.keys. Files that exist are kept."`
}

// Run implements the command.
func (c *keysCommand) Run(s streams) error {
	identityPath, encryptionPath, err := ensureKeys(c.Folder)
	if err != nil {
		return err
	}
	_, err = io.WriteString(s.out, identityPath+"\n"+encryptionPath+"\n")
	return err
}

// passwordFrom reads a password from the environment or a file, never from a flag value that other users of the machine can see.
func passwordFrom(environment, file string) (string, error) {
	if password := os.Getenv(environment); password != "" {
		return password, nil
	}
	if file == "" {
		return "", nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	return trimLine(string(content)), nil
}

func trimLine(text string) string {
	for len(text) > 0 && (text[len(text)-1] == '\n' || text[len(text)-1] == '\r') {
		text = text[:len(text)-1]
	}
	return text
}
