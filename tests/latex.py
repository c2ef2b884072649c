"""What pdflatex says about files of tables that are set into an article."""

import re
import shutil
import subprocess

import pytest

COMPLAINT = re.compile(r"!|Overfull|LaTeX Warning: Float too large|Package \w+ Error")


def complaints(folder, paths):
    """The lines of pdflatex about errors, and about what is wider than the text or longer than a page.

    folder: where the article is made. paths: files of tables; the packages are those that their first lines name.
    """
    if shutil.which("pdflatex") is None:
        pytest.skip("no pdflatex on the path: apt-get install texlive-latex-recommended")
    needs = {re.match(r"% needs (\\usepackage\{[\w,]+\})", path.read_text())[1] for path in paths}
    inputs = [f"\\input{{{path}}}\\clearpage" for path in paths]
    text = ["\\documentclass[11pt]{article}", *needs, "\\begin{document}", *inputs, "\\end{document}"]
    (folder / "article.tex").write_text("\n".join(text))
    command = ["pdflatex", "-interaction=nonstopmode", f"-output-directory={folder}", "article.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    said = [line for line in done.stdout.decode(errors="replace").splitlines() if COMPLAINT.match(line)]
    return said if (folder / "article.pdf").exists() else [*said, "no article.pdf"]
