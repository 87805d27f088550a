"""Operations beside a deploy, one file each."""
